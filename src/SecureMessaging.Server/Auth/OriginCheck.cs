using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.AspNetCore.Http.Features;
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
        var allowed = app.Services.GetRequiredService<IOptions<ServerOptions>>().Value.AllowedOrigins.ToHashSet(StringComparer.Ordinal);
        var events = app.Services.GetRequiredService<SecurityEvents>();
        app.Use((context, next) =>
        {
            if (!Guarded(context) || Passes(context.Request, allowed))
                return next(context);
            events.Count(SecurityCause.OriginRefused);
            return ProblemMapper.WriteAsync(context, new ErrorBody(ErrorCode.Forbidden, "This origin is not allowed.", Retryable: false), context.RequestAborted);
        });
    }

    /// <summary>An entry that could never match an Origin header, or would match too much, is a mistake to be told at start.</summary>
    public static bool IsOrigin(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri)
        && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps)
        && uri.GetLeftPart(UriPartial.Authority) == text;

    public static void ConfigureCors(CorsOptions cors, IOptions<ServerOptions> server) =>
        cors.AddDefaultPolicy(policy => policy
            .WithOrigins([.. server.Value.AllowedOrigins])
            .WithMethods("GET", "POST", "PUT", "PATCH", "DELETE")
            .AllowAnyHeader()
            // Date: clients compare it with their own clock.
            .WithExposedHeaders("Date", "Retry-After", "RateLimit", "RateLimit-Policy", "ETag", "Link", "Location")
            .SetPreflightMaxAge(TimeSpan.FromMinutes(10)));

    // Any upgrade, not the hub's alone: another feature's WebSocket must not be the forgotten door.
    private static bool Guarded(HttpContext context) =>
        context.Request.Path.StartsWithSegments(Wire.HubPath, StringComparison.OrdinalIgnoreCase)
        || context.Request.Headers.Upgrade.Count > 0
        || context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true };

    private static bool Passes(HttpRequest request, HashSet<string> allowed)
    {
        var origin = request.Headers.Origin;
        return origin.Count == 0 || (origin is [{ } only] && (only == $"{request.Scheme}://{request.Host}" || allowed.Contains(only)));
    }
}
