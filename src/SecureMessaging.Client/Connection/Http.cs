using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>Calls REST endpoints and turns every failure into a <see cref="SecureMessagingException"/>.</summary>
internal sealed class Http : IDisposable
{
    private readonly HttpClient _client;

    public Http(Uri server, ClientOptions options)
    {
        Handler = options.HttpHandler ?? new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(2), UseCookies = false, AllowAutoRedirect = false };
        _client = new HttpClient(Handler, disposeHandler: options.HttpHandler is null) { BaseAddress = server, Timeout = options.CallTimeout };
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

    /// <summary>Whether the handler is known to send a request again wherever an answer points, with its body.</summary>
    public static bool FollowsRedirects(HttpMessageHandler? handler) => handler switch
    {
        SocketsHttpHandler sockets => sockets.AllowAutoRedirect,
        HttpClientHandler client => client.AllowAutoRedirect,
        DelegatingHandler outer => FollowsRedirects(outer.InnerHandler),
        _ => false,
    };

    public static bool IsRedirect(HttpStatusCode status) => (int)status is >= 300 and < 400;

    /// <summary>What was sent must go to the server that was named, and to no other. To be tried again: a portal of a network answers like that, too.</summary>
    public static SecureMessagingException Redirected(Uri from, Uri? to, Exception? inner = null) => new(
        new ErrorBody(
            ErrorCode.Unavailable,
            $"{from.GetLeftPart(UriPartial.Authority)} answers with a redirect{(to is null ? "" : $" to {(to.IsAbsoluteUri ? to.GetLeftPart(UriPartial.Authority) : to)}")}, which is not followed. Give the server's own address.",
            Retryable: true),
        inner);

    public void Dispose() => _client.Dispose();

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
            response = await _client.SendAsync(request, completion, cancellationToken);
        }
        catch (HttpRequestException e)
        {
            throw SecureMessagingException.Unreachable(e, _client.BaseAddress);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw SecureMessagingException.Unreachable(e, _client.BaseAddress);
        }
        var asked = new Uri(_client.BaseAddress!, path);
        // A handler of the application's own may have followed a redirect already.
        var answered = response.RequestMessage?.RequestUri ?? asked;
        if (IsRedirect(response.StatusCode) || answered != asked)
        {
            using (response)
                throw Redirected(asked, response.Headers.Location ?? (answered != asked ? answered : null));
        }
        if (response.IsSuccessStatusCode)
            return response;
        using (response)
            throw await ReadErrorAsync(response, _client.BaseAddress!, cancellationToken);
    }

    private static async Task<SecureMessagingException> ReadErrorAsync(HttpResponseMessage response, Uri server, CancellationToken cancellationToken)
    {
        try
        {
            if (await response.Content.ReadFromJsonAsync<Problem>(Wire.Json, cancellationToken) is { Code: { } code } problem)
            {
                return new(new ErrorBody(
                    code, problem.Detail ?? "The server refused.", problem.Retryable ?? code.IsRetryable(), problem.RetryAfterMs, problem.CurrentEpoch, problem.Errors));
            }
        }
        catch (JsonException)
        {
            // Not ours: a proxy's page. The status has to do.
        }
        catch (HttpRequestException e)
        {
            return SecureMessagingException.Unreachable(e, server);
        }
        var guess = response.StatusCode switch
        {
            // Only a body of the server's own may end a session, so a bare 401 is not Unauthenticated.
            HttpStatusCode.NotFound => ErrorCode.NotFound,
            HttpStatusCode.RequestEntityTooLarge => ErrorCode.TooLarge,
            HttpStatusCode.TooManyRequests => ErrorCode.RateLimited,
            HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout => ErrorCode.Unavailable,
            _ => ErrorCode.Internal,
        };
        return new(new ErrorBody(guess, $"{server} answered with status {(int)response.StatusCode} and without an error of its own. Is this the address of a SecureMessaging server?", guess.IsRetryable()));
    }

    private sealed record Problem(string? Detail, ErrorCode? Code, bool? Retryable, int? RetryAfterMs, long? CurrentEpoch, FieldError[]? Errors);
}
