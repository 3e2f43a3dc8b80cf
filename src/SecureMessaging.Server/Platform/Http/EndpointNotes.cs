namespace SecureMessaging.Server.Platform.Http;

/// <summary>Metadata: no limit counts requests of this endpoint.</summary>
internal sealed class NeverLimited;

/// <summary>Metadata of endpoints for the middleware.</summary>
internal static class EndpointNotes
{
    private static readonly NeverLimited Note = new();

    /// <summary>For probes: requests of clients must not take a node out of service.</summary>
    public static TBuilder NeverLimit<TBuilder>(this TBuilder endpoint)
        where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(Note);

    /// <summary>Responses with secrets or personal data stay out of every cache (RFC 6749 section 5.1).</summary>
    public static RouteGroupBuilder NeverStored(this RouteGroupBuilder group) =>
        group.AddEndpointFilter((context, next) =>
        {
            context.HttpContext.Response.Headers.CacheControl = "no-store";
            return next(context);
        });
}
