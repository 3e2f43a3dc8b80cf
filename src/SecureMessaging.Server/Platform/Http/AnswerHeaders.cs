using Microsoft.Net.Http.Headers;

namespace SecureMessaging.Server.Platform.Http;

/// <summary>
/// Headers of every response: no type sniffing, no framing, and a policy that blocks all page content unless a page sets its own. Added when the
/// response starts, because the framework removes earlier headers when a request fails.
/// </summary>
internal static class AnswerHeaders
{
    private const string NoPage = "default-src 'none'; frame-ancestors 'none'";

    public static void UseAnswerHeaders(this IApplicationBuilder app) => app.Use((context, next) =>
    {
        context.Response.OnStarting(static state => Write((HttpResponse)state), context.Response);
        return next(context);
    });

    private static Task Write(HttpResponse response)
    {
        var headers = response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers.ContentSecurityPolicy = headers.ContentSecurityPolicy is { Count: > 0 } own ? own : NoPage;
        headers[HeaderNames.XFrameOptions] = "DENY";
        return Task.CompletedTask;
    }
}
