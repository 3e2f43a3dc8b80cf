using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>The caller's account and its sessions, over REST. Every method throws <see cref="SecureMessagingException"/>.</summary>
public sealed class AccountApi
{
    private readonly Rest rest;
    private readonly Session session;
    private readonly ClientStore store;

    internal AccountApi(Rest rest, Session session, ClientStore store) => (this.rest, this.session, this.store) = (rest, session, store);

    /// <summary>The account as its owner sees it.</summary>
    public Task<Profile> GetProfileAsync(CancellationToken cancellationToken = default) =>
        rest.SendAsync<Profile>(HttpMethod.Get, "v1/me", null, cancellationToken);

    /// <summary>Changes the e-mail address.</summary>
    /// <param name="email">The new address.</param>
    /// <param name="password">The current password, because the address can be used to sign in.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="SecureMessagingException">
    /// <see cref="ErrorCode.Forbidden"/>: the password is wrong. <see cref="ErrorCode.Conflict"/>: another account has the address.
    /// </exception>
    public Task UpdateEmailAsync(string email, string password, CancellationToken cancellationToken = default) =>
        rest.SendAsync(HttpMethod.Patch, "v1/me", new UpdateProfileRequest(email, password), cancellationToken);

    /// <summary>Changes the password and ends every other session.</summary>
    public Task ChangePasswordAsync(string currentPassword, string newPassword, CancellationToken cancellationToken = default) =>
        rest.SendAsync(HttpMethod.Post, "v1/me/password", new ChangePasswordRequest(currentPassword, newPassword), cancellationToken);

    /// <summary>What the server stores about the account only while the account wants it.</summary>
    public Task<PrivacySettings> PrivacyAsync(CancellationToken cancellationToken = default) =>
        rest.SendAsync<PrivacySettings>(HttpMethod.Get, "v1/me/privacy", null, cancellationToken);

    /// <summary>Sets what the server may store about the account. Turning the delivery cursor off also deletes the stored cursors.</summary>
    public Task ChangePrivacyAsync(PrivacySettings settings, CancellationToken cancellationToken = default) =>
        rest.SendAsync(HttpMethod.Put, "v1/me/privacy", settings, cancellationToken);

    /// <summary>The account's sessions, including recently ended ones.</summary>
    public Task<SessionSummary[]> SessionsAsync(CancellationToken cancellationToken = default) =>
        rest.SendAsync<SessionSummary[]>(HttpMethod.Get, "v1/me/sessions", null, cancellationToken);

    /// <summary>Names one live session of the account, for its owner. Null clears.</summary>
    /// <param name="sessionId">The session.</param>
    /// <param name="label">Opaque to the server: encrypt it.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public Task LabelSessionAsync(Guid sessionId, byte[]? label, CancellationToken cancellationToken = default) =>
        rest.SendAsync(HttpMethod.Put, $"v1/me/sessions/{sessionId}/label", new LabelSessionRequest(label), cancellationToken);

    /// <summary>Ends one session.</summary>
    public Task EndSessionAsync(Guid sessionId, CancellationToken cancellationToken = default) =>
        rest.SendAsync(HttpMethod.Delete, $"v1/me/sessions/{sessionId}", null, cancellationToken);

    /// <summary>Finds an account by its exact username.</summary>
    public Task<UserSummary> FindUserAsync(string username, CancellationToken cancellationToken = default) =>
        rest.SendAsync<UserSummary>(HttpMethod.Get, $"v1/users/{Uri.EscapeDataString(username)}", null, cancellationToken);

    /// <summary>Publishes the next signed list of the account's devices, and returns its number. The same bytes again get the same answer.</summary>
    /// <param name="list">The encoded <c>DeviceList</c>.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="SecureMessagingException">
    /// <see cref="ErrorCode.Conflict"/>: the list does not continue the newest stored one, whose number is <see cref="ErrorBody.CurrentNumber"/>.
    /// <see cref="ErrorCode.Invalid"/>: the list breaks another rule of the format.
    /// </exception>
    public async Task<long> PublishDeviceListAsync(byte[] list, CancellationToken cancellationToken = default) =>
        (await rest.SendAsync<StoredDeviceList>(HttpMethod.Put, "v1/me/device-list", new PublishDeviceListRequest(list), cancellationToken)).Number;

    /// <summary>
    /// The signed device lists of an account, oldest first: a page. Verify them. When the last one is not <see cref="DeviceLists.Newest"/>, ask again after it.
    /// </summary>
    /// <param name="userId">The account.</param>
    /// <param name="after">Only lists with a greater number.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public Task<DeviceLists> DeviceListsAsync(Guid userId, long after = 0, CancellationToken cancellationToken = default) =>
        rest.SendAsync<DeviceLists>(
            HttpMethod.Get, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"v1/users/{userId}/device-lists?after={after}"), null,
            cancellationToken);

    /// <summary>Ends this session and empties the store, including pending sends.</summary>
    public async Task LogOutAsync(CancellationToken cancellationToken = default)
    {
        if (session.RefreshToken is { } refreshToken)
            await rest.SendAsync(HttpMethod.Post, "v1/auth/logout", new RefreshRequest(refreshToken), cancellationToken);
        Forget();
    }

    /// <summary>Ends every session of the account, including this one, and empties the store.</summary>
    public async Task LogOutEverywhereAsync(CancellationToken cancellationToken = default)
    {
        await rest.SendAsync(HttpMethod.Post, "v1/auth/logout-everywhere", null, cancellationToken);
        Forget();
    }

    /// <summary>Erases the account and everything the server can attribute to it, and empties the store.</summary>
    public async Task DeleteAsync(string password, CancellationToken cancellationToken = default)
    {
        await rest.SendAsync(HttpMethod.Post, "v1/me/delete", new DeleteAccountRequest(password), cancellationToken);
        Forget();
    }

    private void Forget()
    {
        session.End();
        store.Clear();
    }
}
