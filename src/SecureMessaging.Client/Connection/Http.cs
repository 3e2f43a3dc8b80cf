using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>Calls REST endpoints and converts every failure into a <see cref="SecureMessagingException"/>.</summary>
internal sealed class Http : IDisposable
{
    private readonly HttpClient client;

    public Http(Uri server, ClientOptions options)
    {
        Handler = options.HttpHandler ?? new SocketsHttpHandler
        {
            PooledConnectionLifetime = TimeSpan.FromMinutes(2),
            UseCookies = false,
            AllowAutoRedirect = false
        };
        client = new HttpClient(Handler, disposeHandler: options.HttpHandler is null) { BaseAddress = server, Timeout = options.CallTimeout };
    }

    public HttpMessageHandler Handler { get; }

    public async Task<T> SendAsync<T>(HttpMethod method, string path, object? body, string? accessToken, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(method, path, body, accessToken, HttpCompletionOption.ResponseContentRead, cancellationToken);
        try
        {
            return await response.Content.ReadFromJsonAsync<T>(Wire.Json, cancellationToken)
                ?? throw new SecureMessagingException("The server's answer is empty.");
        }
        catch (JsonException e)
        {
            throw new SecureMessagingException("The server's answer cannot be read.", e);
        }
    }

    public async Task SendAsync(HttpMethod method, string path, object? body, string? accessToken, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(method, path, body, accessToken, HttpCompletionOption.ResponseContentRead, cancellationToken);
    }

    /// <summary>Whether the handler is known to follow redirects, with the body.</summary>
    public static bool FollowsRedirects(HttpMessageHandler? handler) => handler switch
    {
        SocketsHttpHandler sockets => sockets.AllowAutoRedirect,
        HttpClientHandler client => client.AllowAutoRedirect,
        DelegatingHandler outer => FollowsRedirects(outer.InnerHandler),
        _ => false,
    };

    public static bool IsRedirect(HttpStatusCode status) => (int)status is >= 300 and < 400;

    /// <summary>Requests go only to the server that was named. Retryable, because the login page of a network redirects too.</summary>
    public static SecureMessagingException Redirected(Uri from, Uri? to, Exception? inner = null)
    {
        var target = to is null ? "" : $" to {(to.IsAbsoluteUri ? to.GetLeftPart(UriPartial.Authority) : to)}";
        var sentence = $"{from.GetLeftPart(UriPartial.Authority)} answers with a redirect{target}, which is not followed. Use the server's own address.";
        return new(new ErrorBody(ErrorCode.Unavailable, sentence, Retryable: true), inner);
    }

    public void Dispose() => client.Dispose();

    private async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, string path, object? body, string? accessToken, HttpCompletionOption completion, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path);
        if (accessToken is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", accessToken);
        if (body is not null)
            request.Content = JsonContent.Create(body, body.GetType(), options: Wire.Json);
        HttpResponseMessage response;
        try
        {
            response = await client.SendAsync(request, completion, cancellationToken);
        }
        catch (HttpRequestException e)
        {
            throw SecureMessagingException.Unreachable(e, client.BaseAddress);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw SecureMessagingException.Unreachable(e, client.BaseAddress);
        }
        var asked = new Uri(client.BaseAddress!, path);
        // A handler of the application may have followed a redirect already.
        var answered = response.RequestMessage?.RequestUri ?? asked;
        if (IsRedirect(response.StatusCode) || answered != asked)
        {
            using (response)
                throw Redirected(asked, response.Headers.Location ?? (answered != asked ? answered : null));
        }
        if (response.IsSuccessStatusCode)
            return response;
        using (response)
            throw await ReadErrorAsync(response, client.BaseAddress!, cancellationToken);
    }

    private static async Task<SecureMessagingException> ReadErrorAsync(HttpResponseMessage response, Uri server, CancellationToken cancellationToken)
    {
        try
        {
            if (await response.Content.ReadFromJsonAsync<Problem>(Wire.Json, cancellationToken) is { Code: { } code } problem)
            {
                return new(new ErrorBody(
                    code, problem.Detail ?? "The server rejected the request.", problem.Retryable ?? code.IsRetryable(), problem.RetryAfterMs,
                        problem.CurrentEpoch, problem.Errors, problem.CurrentNumber));
            }
        }
        catch (JsonException)
        {
            // A page of a proxy. Only the status is useful.
        }
        catch (HttpRequestException e)
        {
            return SecureMessagingException.Unreachable(e, server);
        }
        var guess = response.StatusCode switch
        {
            // Only an error body of the server may end a session, so a bare 401 is not Unauthenticated.
            HttpStatusCode.NotFound => ErrorCode.NotFound,
            HttpStatusCode.RequestEntityTooLarge => ErrorCode.TooLarge,
            HttpStatusCode.TooManyRequests => ErrorCode.RateLimited,
            HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout => ErrorCode.Unavailable,
            _ => ErrorCode.Internal,
        };
        var sentence = $"{server} answered with status {(int)response.StatusCode} and no error body. Is this the address of a SecureMessaging server?";
        return new(new ErrorBody(guess, sentence, guess.IsRetryable()));
    }

    private sealed record Problem(
        string? Detail, ErrorCode? Code, bool? Retryable, int? RetryAfterMs, long? CurrentEpoch, FieldError[]? Errors, long? CurrentNumber);
}
