using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Startup;

namespace SecureMessaging.Server.Platform.Http;

/// <summary>
/// Rejects WebSockets of pages of other origins before the upgrade and before their ticket is used. Browsers apply neither the same-origin policy nor
/// CORS to WebSockets, so only the Origin header protects users. Other clients send no Origin.
/// </summary>
internal static class OriginCheck
{
    /// <summary>Before authentication: a page of another origin must not consume a ticket.</summary>
    public static void UseOrigins(this WebApplication app)
    {
        var allowed = Allowed(app.Services.GetRequiredService<IOptions<ServerOptions>>().Value, app.Services);
        var events = app.Services.GetRequiredService<SecurityEvents>();
        app.Use((context, next) =>
        {
            if (!Guarded(context) || Passes(context.Request, allowed))
                return next(context);
            events.Count(SecurityCause.OriginRefused);
            return ProblemMapper.WriteAsync(
                context,
                new ErrorBody(
                    ErrorCode.Forbidden,
                    "This page's origin is not allowed. The operator of the server can add it to the setting Server:AllowedOrigins.",
                    Retryable: false),
                context.RequestAborted);
        });
    }

    /// <summary>False for an entry that can never match an Origin header or matches too much: the start rejects it.</summary>
    public static bool IsOrigin(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri)
        && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps)
        && uri.GetLeftPart(UriPartial.Authority) == text;

    public static void ConfigureCors(CorsOptions cors, IOptions<ServerOptions> server, IServiceProvider services) =>
        cors.AddDefaultPolicy(policy => policy
            .SetIsOriginAllowed(Allowed(server.Value, services))
            .WithMethods("GET", "POST", "PUT", "PATCH", "DELETE")
            .AllowAnyHeader()
            // Date: clients compare it with their clock.
            .WithExposedHeaders("Date", "Retry-After", "RateLimit", "RateLimit-Policy", "ETag", "Link", "Location")
            .SetPreflightMaxAge(TimeSpan.FromMinutes(10)));

    // Every WebSocket, not only the hub's, so that a new feature's WebSocket is checked too.
    private static bool Guarded(HttpContext context) =>
        context.Request.Path.StartsWithSegments(Wire.HubPath, StringComparison.OrdinalIgnoreCase) || context.AsksForWebSocket();

    /// <summary>The configured origins, and those of the pages at the management address, which are known once it listens.</summary>
    private static Func<string, bool> Allowed(ServerOptions server, IServiceProvider services)
    {
        var (listed, management) = (server.AllowedOrigins.ToHashSet(StringComparer.Ordinal), services.GetRequiredService<ManagementOrigins>());
        return origin => listed.Contains(origin) || management.Contains(origin);
    }

    private static bool Passes(HttpRequest request, Func<string, bool> allowed)
    {
        var origin = request.Headers.Origin;
        return origin.Count == 0 || (origin is [{ } only] && (allowed(only) || IsOwn(request, only)));
    }

    /// <summary>A Host may have any case and the scheme's default port; an origin is in lower case without it (RFC 6454 section 6.2).</summary>
    private static bool IsOwn(HttpRequest request, string origin) =>
        Uri.TryCreate($"{request.Scheme}://{request.Host}", UriKind.Absolute, out var own) && own.GetLeftPart(UriPartial.Authority) == origin;
}
