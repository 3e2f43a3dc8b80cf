using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Auth;

/// <summary>
/// Browsers apply neither the same-origin policy nor CORS to WebSockets; the Origin header is all there is. A page of another origin
/// is refused before the upgrade, and before its ticket is looked at. Clients that are not browsers send no Origin and prove themselves by token.
/// </summary>
internal static class OriginCheck
{
    public static void UseOriginCheck(this WebApplication app)
    {
        var allowed = Allowed(app.Services.GetRequiredService<IOptions<ServerOptions>>().Value, app.Services);
        var events = app.Services.GetRequiredService<SecurityEvents>();
        app.Use((context, next) =>
        {
            if (!Guarded(context) || Passes(context.Request, allowed))
                return next(context);
            events.Count(SecurityCause.OriginRefused);
            return ProblemMapper.WriteAsync(context, new ErrorBody(ErrorCode.Forbidden, "This page's origin is not allowed. The operator of the server can add it to the setting Server:AllowedOrigins.", Retryable: false), context.RequestAborted);
        });
    }

    /// <summary>An entry that could never match an Origin header, or would match too much, is a mistake to be told at start.</summary>
    public static bool IsOrigin(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri)
        && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps)
        && uri.GetLeftPart(UriPartial.Authority) == text;

    public static void ConfigureCors(CorsOptions cors, IOptions<ServerOptions> server, IServiceProvider services) =>
        cors.AddDefaultPolicy(policy => policy
            .SetIsOriginAllowed(Allowed(server.Value, services))
            .WithMethods("GET", "POST", "PUT", "PATCH", "DELETE")
            .AllowAnyHeader()
            // Date: clients compare it with their own clock.
            .WithExposedHeaders("Date", "Retry-After", "RateLimit", "RateLimit-Policy", "ETag", "Link", "Location")
            .SetPreflightMaxAge(TimeSpan.FromMinutes(10)));

    // Any WebSocket, not the hub's alone: another feature's must not be the forgotten door.
    private static bool Guarded(HttpContext context) =>
        context.Request.Path.StartsWithSegments(Wire.HubPath, StringComparison.OrdinalIgnoreCase) || context.AsksForWebSocket();

    /// <summary>The origins of the setting, and those of the pages at the management address, which are known once that listens.</summary>
    private static Func<string, bool> Allowed(ServerOptions server, IServiceProvider services)
    {
        var (listed, management) = (server.AllowedOrigins.ToHashSet(StringComparer.Ordinal), services.GetService<ManagementService>());
        return origin => listed.Contains(origin) || management?.Origins.Contains(origin) is true;
    }

    private static bool Passes(HttpRequest request, Func<string, bool> allowed)
    {
        var origin = request.Headers.Origin;
        return origin.Count == 0 || (origin is [{ } only] && (allowed(only) || IsOwn(request, only)));
    }

    /// <summary>A Host may be in any case and name the scheme's own port; an origin is in lower case and does not (RFC 6454 section 6.2).</summary>
    private static bool IsOwn(HttpRequest request, string origin) =>
        Uri.TryCreate($"{request.Scheme}://{request.Host}", UriKind.Absolute, out var own) && own.GetLeftPart(UriPartial.Authority) == origin;
}
