using Microsoft.Net.Http.Headers;

namespace SecureMessaging.Server.Platform;

/// <summary>
/// What a browser is told with every answer: it is what its type says, and no page. A page of ours sets a policy of its own. Added when the answer starts, because what is
/// set earlier is gone when a request fails.
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
