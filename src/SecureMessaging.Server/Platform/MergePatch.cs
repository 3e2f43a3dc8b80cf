namespace SecureMessaging.Server.Platform;

/// <summary>Partial changes as RFC 7396 has them.</summary>
internal static class MergePatch
{
    /// <summary>The body may say what it is by its media type, too.</summary>
    public static RouteHandlerBuilder TakesMergePatch<TRequest>(this RouteHandlerBuilder endpoint)
        where TRequest : notnull => endpoint.Accepts<TRequest>("application/json", "application/merge-patch+json");
}
