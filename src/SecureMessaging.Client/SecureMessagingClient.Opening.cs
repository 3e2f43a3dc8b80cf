using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <content>Ways to create a client: sign up, sign in, resume.</content>
public sealed partial class SecureMessagingClient
{
    /// <summary>Creates an account and signs in to it.</summary>
    /// <exception cref="SecureMessagingException">The server rejected the call or cannot be reached.</exception>
    /// <exception cref="InvalidOperationException">The store belongs to an account already.</exception>
    /// <exception cref="IOException">The store cannot be used. The message names the file.</exception>
    public static Task<SecureMessagingClient> SignUpAsync(
        Uri server, SignUpRequest request, ClientOptions options, CancellationToken cancellationToken = default) =>
        OpenAsync(server, "v1/auth/sign-up", request, mustBeNew: true, options, cancellationToken);

    /// <summary>Signs in. A store of the same account keeps its outbox and cursors.</summary>
    /// <param name="server">The server's address.</param>
    /// <param name="username">Username or e-mail address.</param>
    /// <param name="password">The password. It is not stored.</param>
    /// <param name="options">The options of the client.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="SecureMessagingException">The server rejected the call or cannot be reached.</exception>
    /// <exception cref="InvalidOperationException">The store belongs to another account or server.</exception>
    /// <exception cref="IOException">The store cannot be used. The message names the file.</exception>
    public static Task<SecureMessagingClient> SignInAsync(
        Uri server, string username, string password, ClientOptions options, CancellationToken cancellationToken = default) =>
        OpenAsync(server, "v1/auth/token", new TokenRequest(username, password), mustBeNew: false, options, cancellationToken);

    /// <summary>Resumes the session in the store, without asking the server.</summary>
    /// <returns>Null when the store holds no session, or its session is over: sign in.</returns>
    /// <exception cref="InvalidOperationException">The store belongs to another server.</exception>
    /// <exception cref="IOException">The store cannot be used. The message names the file.</exception>
    public static Task<SecureMessagingClient?> ResumeAsync(Uri server, ClientOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        server = Normalize(server, options);
        cancellationToken.ThrowIfCancellationRequested();
        var opened = new ClientStore(options.StorePath);
        try
        {
            if (opened.ReadSession() is not { RefreshToken: not null } stored)
            {
                opened.Dispose();
                return Task.FromResult<SecureMessagingClient?>(null);
            }
            return stored.Server == server.ToString()
                ? Task.FromResult<SecureMessagingClient?>(new(server, stored, opened, new Http(server, options), options))
                : throw new InvalidOperationException("The store belongs to another server.");
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>Disconnects. Queued messages stay in the store; a store in memory loses them.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (gate)
        {
            if (disposed)
                return;
            disposed = true;
        }
        await running.CancelAsync();
        if (loops is not null)
            await loops.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await session.CloseAsync();
        outbox.GiveUp(new ObjectDisposedException(nameof(SecureMessagingClient), "The client was disposed; the message is still queued."));
        inbox.Close(null);
        link.GiveUp();
        if (State != ConnectionState.SignedOut)
            SetState(ConnectionState.Disconnected);
        session.Dispose();
        http.Dispose();
        store.Dispose();
        running.Dispose();
    }

    private static async Task<SecureMessagingClient> OpenAsync(
        Uri server, string path, object request, bool mustBeNew, ClientOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        server = Normalize(server, options);
        var opened = new ClientStore(options.StorePath);
        var requests = new Http(server, options);
        try
        {
            var earlier = opened.ReadSession();
            if (earlier is not null && (mustBeNew || earlier.Server != server.ToString()))
                throw new InvalidOperationException("The store belongs to an account already. Sign it out first, or use another one.");
            var tokens = await requests.SendAsync<TokenResponse>(HttpMethod.Post, path, request, null, cancellationToken);
            if (earlier is not null && earlier.UserId != tokens.UserId.ToString("D"))
                throw new InvalidOperationException("The store belongs to another account. Log it out first, or use another file.");
            var stored = Session.ToStored(server, tokens, options.TimeProvider);
            opened.WriteSession(stored);
            return new(server, stored, opened, requests, options);
        }
        catch
        {
            requests.Dispose();
            opened.Dispose();
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
                "http:// to another machine shows the password and metadata to the network. Use https://, or set AllowUnencryptedHttp.",
                nameof(server));
        }
        if (Http.FollowsRedirects(options.HttpHandler))
        {
            throw new ArgumentException(
                "ClientOptions.HttpHandler follows redirects, and would send the password to their targets. Set AllowAutoRedirect to false.", nameof(options));
        }
        return server.AbsolutePath.EndsWith('/') ? server : new UriBuilder(server) { Path = server.AbsolutePath + "/" }.Uri;
    }
}
