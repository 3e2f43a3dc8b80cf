namespace SecureMessaging.Client;

/// <summary>REST with the session's access token.</summary>
internal sealed class Rest(Http http, Session session)
{
    public Guid UserId => session.UserId;

    public Task<T> SendAsync<T>(HttpMethod method, string path, object? body, CancellationToken cancellationToken) =>
        session.CallAsync(token => http.SendAsync<T>(method, path, body, token, cancellationToken), cancellationToken);

    public Task SendAsync(HttpMethod method, string path, object? body, CancellationToken cancellationToken) =>
        session.CallAsync(
            async token =>
            {
                await http.SendAsync(method, path, body, token, cancellationToken);
                return true;
            },
            cancellationToken);
}
