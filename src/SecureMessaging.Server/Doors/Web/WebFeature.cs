using System.Collections.Frozen;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Doors.Web;

/// <summary>
/// Serves the web app: the files of its build at their paths. Its routes are behind the <c>#</c>, so no API path returns a page. The files contain no
/// user data; therefore only they are compressed.
/// </summary>
internal static class WebFeature
{
    // 'self' of connect-src covers the WebSocket of the page's origin (CSP level 3 section 6.7.2.8). No script comes from a string; the app creates
    // two trusted URLs: of its service worker, and of the worker that has its keys. The camera reads QR codes; its pictures stay in the page.
    private const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; worker-src 'self'; "
        + "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types app";

    private const string PermissionsPolicy =
        "accelerometer=(), camera=(self), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()";

    public static void AddWeb(this WebApplicationBuilder builder) =>
        builder.Services.AddOptions<WebOptions>().BindConfiguration(WebOptions.Section)
            .Validate(options => options.IsRootUsable, $"Web:Root takes a folder with an {WebFiles.Index}.").ValidateOnStart();

    /// <summary>
    /// Selects a file as the request's endpoint; it is sent at the end of the pipeline, after the limits. Must run before all middleware that reads
    /// the endpoint.
    /// </summary>
    public static void UseWeb(this WebApplication app)
    {
        var files = WebFiles.Read(app.Services.GetRequiredService<IOptions<WebOptions>>().Value);
        if (files.Count == 0)
            return;
        var endpoints = files.ToFrozenDictionary(
            file => file.Key,
            file => new Endpoint(
                context => SendAsync(context, file.Value), new EndpointMetadataCollection(new AllowAnonymousAttribute()), $"web {file.Key}"),
            StringComparer.Ordinal);
        app.Use((context, next) =>
        {
            // An API path takes precedence.
            if (context.GetEndpoint() is null && IsRead(context) && endpoints.TryGetValue(context.Request.Path.Value ?? "", out var endpoint))
                context.SetEndpoint(endpoint);
            return next(context);
        });
    }

    public static string WhereToOpen(this WebApplication app)
    {
        var address = app.Urls.FirstOrDefault() ?? "";
        foreach (var any in (string[])["://[::]", "://0.0.0.0", "://+", "://*"])
            address = address.Replace(any, "://localhost", StringComparison.Ordinal);
        return WebFiles.Exist(app.Services.GetRequiredService<IOptions<WebOptions>>().Value)
            ? $"Open {address}"
            : $"Listening on {address}, without the web app";
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

    private static double Weight(HttpRequest request, string encoding) =>
        StringWithQualityHeaderValue.TryParseList(request.Headers.AcceptEncoding, out var accepted)
        && accepted.FirstOrDefault(item => item.Value.Equals(encoding, StringComparison.OrdinalIgnoreCase)) is { } wanted
            ? wanted.Quality ?? 1
            : 0;
}
