namespace SecureMessaging.Server.Platform.Http;

/// <summary>Partial changes (RFC 7396).</summary>
internal static class MergePatch
{
    public static RouteHandlerBuilder TakesMergePatch<TRequest>(this RouteHandlerBuilder endpoint)
        where TRequest : notnull => endpoint.Accepts<TRequest>("application/json", "application/merge-patch+json");
}
