using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <content>How a client comes to be: signing up, signing in, going on.</content>
public sealed partial class SecureMessagingClient
{
    /// <summary>Creates an account and signs in to it.</summary>
    /// <exception cref="SecureMessagingException">The server refused or cannot be reached.</exception>
    /// <exception cref="InvalidOperationException">The store belongs to an account already.</exception>
    /// <exception cref="IOException">The store cannot be used; the sentence names the file.</exception>
    public static Task<SecureMessagingClient> SignUpAsync(
        Uri server, SignUpRequest request, ClientOptions options, CancellationToken cancellationToken = default) =>
        OpenAsync(server, "v1/auth/sign-up", request, mustBeNew: true, options, cancellationToken);

    /// <summary>Signs in. With a store that has been this account's before, its outbox and cursors go on.</summary>
    /// <param name="server">The server's address.</param>
    /// <param name="username">Username or e-mail address.</param>
    /// <param name="password">The password; not kept.</param>
    /// <param name="options">How the client works.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="SecureMessagingException">The server refused or cannot be reached.</exception>
    /// <exception cref="InvalidOperationException">The store belongs to another account or server.</exception>
    /// <exception cref="IOException">The store cannot be used; the sentence names the file.</exception>
    public static Task<SecureMessagingClient> SignInAsync(
        Uri server, string username, string password, ClientOptions options, CancellationToken cancellationToken = default) =>
        OpenAsync(server, "v1/auth/token", new TokenRequest(username, password), mustBeNew: false, options, cancellationToken);

    /// <summary>Goes on with the session in the store, without asking the server.</summary>
    /// <returns>Null when the store holds no session, or one that is over: sign in.</returns>
    /// <exception cref="InvalidOperationException">The store belongs to another server.</exception>
    /// <exception cref="IOException">The store cannot be used; the sentence names the file.</exception>
    public static Task<SecureMessagingClient?> ResumeAsync(Uri server, ClientOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        server = Normalize(server, options);
        cancellationToken.ThrowIfCancellationRequested();
        var store = new ClientStore(options.StorePath);
        try
        {
            if (store.ReadSession() is not { RefreshToken: not null } stored)
            {
                store.Dispose();
                return Task.FromResult<SecureMessagingClient?>(null);
            }
            return stored.Server == server.ToString()
                ? Task.FromResult<SecureMessagingClient?>(new(server, stored, store, new Http(server, options), options))
                : throw new InvalidOperationException("The store belongs to another server.");
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    /// <summary>Disconnects. What is queued stays in the store for the next time; with a store in memory it is lost.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_disposed)
                return;
            _disposed = true;
        }
        await _running.CancelAsync();
        if (_loops is not null)
            await _loops.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _session.CloseAsync();
        _outbox.GiveUp(new ObjectDisposedException(nameof(SecureMessagingClient), "The client was disposed; the message is still queued."));
        _inbox.Close(null);
        _link.GiveUp();
        if (State != ConnectionState.SignedOut)
            SetState(ConnectionState.Disconnected);
        _session.Dispose();
        _http.Dispose();
        _store.Dispose();
        _running.Dispose();
    }

    private static async Task<SecureMessagingClient> OpenAsync(
        Uri server, string path, object request, bool mustBeNew, ClientOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        server = Normalize(server, options);
        var store = new ClientStore(options.StorePath);
        var http = new Http(server, options);
        try
        {
            var earlier = store.ReadSession();
            if (earlier is not null && (mustBeNew || earlier.Server != server.ToString()))
                throw new InvalidOperationException("The store belongs to an account already. Sign it out first, or use another one.");
            var tokens = await http.SendAsync<TokenResponse>(HttpMethod.Post, path, request, null, cancellationToken);
            if (earlier is not null && earlier.UserId != tokens.UserId.ToString("D"))
                throw new InvalidOperationException("The store belongs to another account. Log it out first, or use another file.");
            var stored = Session.ToStored(server, tokens, options.TimeProvider);
            store.WriteSession(stored);
            return new(server, stored, store, http, options);
        }
        catch
        {
            http.Dispose();
            store.Dispose();
            throw;
        }
    }

    private static Uri Normalize(Uri server, ClientOptions options)
    {
        ArgumentNullException.ThrowIfNull(server);
        if (!server.IsAbsoluteUri || server.Scheme is not ("http" or "https"))
            throw new ArgumentException("The server's address starts with http:// or https://.", nameof(server));
        if (server.Scheme == "http" && !server.IsLoopback && !options.AllowUnencryptedHttp)
        {
            throw new ArgumentException(
                "http:// to another machine shows password and messages' metadata to everyone on the way. Use https://, or allow it: AllowUnencryptedHttp.", nameof(server));
        }
        if (Http.FollowsRedirects(options.HttpHandler))
            throw new ArgumentException("ClientOptions.HttpHandler follows redirects, and would send the password wherever one leads. Set its AllowAutoRedirect to false.", nameof(options));
        return server.AbsolutePath.EndsWith('/') ? server : new UriBuilder(server) { Path = server.AbsolutePath + "/" }.Uri;
    }
}
