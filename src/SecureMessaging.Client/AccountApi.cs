using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>The caller's account and its sessions, over REST. Every method throws <see cref="SecureMessagingException"/>.</summary>
public sealed class AccountApi
{
    private readonly Rest _rest;
    private readonly Session _session;
    private readonly ClientStore _store;

    internal AccountApi(Rest rest, Session session, ClientStore store) => (_rest, _session, _store) = (rest, session, store);

    /// <summary>The account as its owner sees it.</summary>
    public Task<Profile> GetProfileAsync(CancellationToken cancellationToken = default) =>
        _rest.SendAsync<Profile>(HttpMethod.Get, "v1/me", null, cancellationToken);

    /// <summary>Changes the e-mail address.</summary>
    /// <param name="email">The new one.</param>
    /// <param name="password">The password in force: one can sign in with the address.</param>
    /// <param name="cancellationToken">Cancels.</param>
    /// <exception cref="SecureMessagingException"><see cref="ErrorCode.Forbidden"/>: the password is wrong. <see cref="ErrorCode.Conflict"/>: another account has the address.</exception>
    public Task UpdateEmailAsync(string email, string password, CancellationToken cancellationToken = default) =>
        _rest.SendAsync(HttpMethod.Patch, "v1/me", new UpdateProfileRequest(email, password), cancellationToken);

    /// <summary>Changes the password and ends every other session.</summary>
    public Task ChangePasswordAsync(string currentPassword, string newPassword, CancellationToken cancellationToken = default) =>
        _rest.SendAsync(HttpMethod.Post, "v1/me/password", new ChangePasswordRequest(currentPassword, newPassword), cancellationToken);

    /// <summary>The account's sessions, also those that have ended lately.</summary>
    public Task<SessionSummary[]> SessionsAsync(CancellationToken cancellationToken = default) =>
        _rest.SendAsync<SessionSummary[]>(HttpMethod.Get, "v1/me/sessions", null, cancellationToken);

    /// <summary>Ends one session.</summary>
    public Task EndSessionAsync(Guid sessionId, CancellationToken cancellationToken = default) =>
        _rest.SendAsync(HttpMethod.Delete, $"v1/me/sessions/{sessionId}", null, cancellationToken);

    /// <summary>Looks someone up by their exact username.</summary>
    public Task<UserSummary> FindUserAsync(string username, CancellationToken cancellationToken = default) =>
        _rest.SendAsync<UserSummary>(HttpMethod.Get, $"v1/users/{Uri.EscapeDataString(username)}", null, cancellationToken);

    /// <summary>Ends this session and empties the store, pending sends included.</summary>
    public async Task LogOutAsync(CancellationToken cancellationToken = default)
    {
        if (_session.RefreshToken is { } refreshToken)
            await _rest.SendAsync(HttpMethod.Post, "v1/auth/logout", new RefreshRequest(refreshToken), cancellationToken);
        Forget();
    }

    /// <summary>Ends every session of the account, this one included, and empties the store.</summary>
    public async Task LogOutEverywhereAsync(CancellationToken cancellationToken = default)
    {
        await _rest.SendAsync(HttpMethod.Post, "v1/auth/logout-everywhere", null, cancellationToken);
        Forget();
    }

    /// <summary>Erases the account and everything the server can attribute to it, and empties the store.</summary>
    public async Task DeleteAsync(string password, CancellationToken cancellationToken = default)
    {
        await _rest.SendAsync(HttpMethod.Post, "v1/me/delete", new DeleteAccountRequest(password), cancellationToken);
        Forget();
    }

    private void Forget()
    {
        _session.End();
        _store.Clear();
    }
}
