using System.Collections.Frozen;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Web;

/// <summary>
/// The web app: the files of its build at their own paths, and nothing at any other. Its routes stand behind the <c>#</c>, so no path of the API is answered
/// with a page. Nothing of what people write is in these files, which is why they alone are compressed.
/// </summary>
internal static class WebFeature
{
    // 'self' of connect-src covers the WebSocket of the page's own origin (CSP level 3 section 6.7.2.8). No script comes from a string: the app makes one trusted address, of its service worker.
    private const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; worker-src 'self'; "
        + "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types app";

    private const string PermissionsPolicy =
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()";

    public static void AddWeb(this WebApplicationBuilder builder) =>
        builder.Services.AddOptions<WebOptions>().BindConfiguration(WebOptions.Section)
            .Validate(options => options.IsRootUsable, $"Web:Root takes a folder with an {WebFiles.Index}.").ValidateOnStart();

    /// <summary>Chooses a file as the endpoint of the request; it is sent at the end of the pipeline, once limits have been counted. Before all that asks for an endpoint.</summary>
    public static void UseWeb(this WebApplication app)
    {
        var files = WebFiles.Read(app.Services.GetRequiredService<IOptions<WebOptions>>().Value);
        if (files.Count == 0)
            return;
        var endpoints = files.ToFrozenDictionary(
            file => file.Key, file => new Endpoint(context => SendAsync(context, file.Value), new EndpointMetadataCollection(new AllowAnonymousAttribute()), $"web {file.Key}"), StringComparer.Ordinal);
        app.Use((context, next) =>
        {
            // What the API has at a path comes first.
            if (context.GetEndpoint() is null && IsRead(context) && endpoints.TryGetValue(context.Request.Path.Value ?? "", out var endpoint))
                context.SetEndpoint(endpoint);
            return next(context);
        });
    }

    /// <summary>One line for the person who has started the server.</summary>
    public static string WhereToOpen(this WebApplication app)
    {
        var address = app.Urls.FirstOrDefault() ?? "";
        foreach (var any in (string[])["://[::]", "://0.0.0.0", "://+", "://*"])
            address = address.Replace(any, "://localhost", StringComparison.Ordinal);
        return WebFiles.Exist(app.Services.GetRequiredService<IOptions<WebOptions>>().Value) ? $"Open {address}" : $"Listening on {address}, without the web app";
    }

    private static bool IsRead(HttpContext context) =>
        (HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method)) && !context.AsksForWebSocket();

    private static async Task SendAsync(HttpContext context, WebFile file)
    {
        var (bytes, encoding, etag) = file.For(Weight(context.Request, "br"), Weight(context.Request, "gzip"));
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Permissions-Policy"] = PermissionsPolicy;
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers.CacheControl = file.CacheControl;
        headers.ETag = etag;
        if (file.IsCompressible)
            headers.Vary = HeaderNames.AcceptEncoding;
        if (context.Request.Has(new EntityTagHeaderValue(etag)))
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        context.Response.ContentType = file.ContentType;
        context.Response.ContentLength = bytes.Length;
        if (encoding is not null)
            headers.ContentEncoding = encoding;
        if (!HttpMethods.IsHead(context.Request.Method))
            await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
    }

    /// <summary>How much the client wants this encoding (RFC 9110 section 12.5.3); 0: not at all.</summary>
    private static double Weight(HttpRequest request, string encoding) =>
        StringWithQualityHeaderValue.TryParseList(request.Headers.AcceptEncoding, out var accepted)
        && accepted.FirstOrDefault(item => item.Value.Equals(encoding, StringComparison.OrdinalIgnoreCase)) is { } wanted
            ? wanted.Quality ?? 1
            : 0;
}
