using Microsoft.Extensions.Logging;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// The tokens of the session. It renews the access token before it expires, once for all callers and all processes on the same store, and retries without
/// end: only a definite answer of the server ends the session. A new refresh token is stored before it is used. If the process dies before that, the
/// server still accepts the old one until a newer one has been used.
/// </summary>
internal sealed partial class Session : IDisposable
{
    /// <summary>After this many attempts without the lock there is a warning: another process renews for a moment only.</summary>
    private const int AttemptsBeforeWarning = 5;

    private readonly ClientStore store;
    private readonly Http http;
    private readonly ClientOptions options;
    private readonly Warnings warnings;
    private readonly ILogger logger;
    private readonly CancellationTokenSource closing = new();
    private readonly Lock gate = new();
    private StoredSession current;
    private Task<string>? renewal;

    public Session(StoredSession current, ClientStore store, Http http, ClientOptions options, Warnings warnings, ILogger logger)
    {
        (this.current, this.store, this.http, this.options, this.warnings, this.logger) = (current, store, http, options, warnings, logger);
        UserId = Guid.Parse(current.UserId);
        SessionId = Guid.Parse(current.SessionId);
    }

    /// <summary>The session is over. Raised once.</summary>
    public event Action? Ended;

    public Guid UserId { get; }

    public Guid SessionId { get; }

    public string Username => current.Username;

    public bool IsOver { get; private set; }

    /// <summary>When to renew the access token: a minute before it expires, or after two thirds of a short life.</summary>
    public DateTimeOffset RenewAt => DateTimeOffset.FromUnixTimeMilliseconds(RenewAtOf(current));

    /// <exception cref="SecureMessagingException">A member is missing in the server's answer.</exception>
    public static StoredSession ToStored(Uri server, TokenResponse tokens, TimeProvider time)
    {
        if (tokens is not { Username: not null, AccessToken: not null, RefreshToken: not null })
            throw new SecureMessagingException("The server's answer is incomplete.");
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        return new()
        {
            Server = server.ToString(),
            UserId = tokens.UserId.ToString("D"),
            Username = tokens.Username,
            SessionId = tokens.SessionId.ToString("D"),
            RefreshToken = tokens.RefreshToken,
            AccessToken = tokens.AccessToken,
            AccessIssuedAt = now,
            AccessExpiresAt = now + (tokens.ExpiresIn * 1000L),
        };
    }

    /// <summary>An access token that does not expire soon.</summary>
    /// <param name="rejected">A token that the server rejected although it has not expired by our clock.</param>
    /// <param name="cancellationToken">Ends the wait. The renewal continues for other callers.</param>
    public Task<string> AccessTokenAsync(string? rejected, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            if (IsOver)
                throw SecureMessagingException.SignedOut();
            if (current.AccessToken is { } token && token != rejected && Now < RenewAtOf(current))
                return Task.FromResult(token);
            if (renewal is null or { IsCompleted: true })
                renewal = Task.Run(() => RenewAsync(rejected), CancellationToken.None);
            return renewal.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Calls REST with the access token; renews it once when the server rejects it.</summary>
    public async Task<T> CallAsync<T>(Func<string, Task<T>> call, CancellationToken cancellationToken)
    {
        var token = await AccessTokenAsync(null, cancellationToken);
        try
        {
            return await call(token);
        }
        catch (SecureMessagingException e) when (e.ErrorCode == ErrorCode.Unauthenticated)
        {
            return await call(await AccessTokenAsync(token, cancellationToken));
        }
    }

    /// <summary>
    /// Ends the session in this client: the tokens are deleted; the outbox and the cursors stay for the next sign-in of the account. When the tokens cannot
    /// be deleted from disk, the end is reported all the same, because they are no longer valid.
    /// </summary>
    public void End()
    {
        lock (gate)
        {
            if (IsOver)
                return;
            IsOver = true;
            current = current with { RefreshToken = null, AccessToken = null };
        }
        try
        {
            if (store.ReadSession()?.SessionId == current.SessionId)
                store.WriteSession(current);
        }
        catch (IOException e)
        {
            NotPersisted(logger, e.Message);
            warnings.Raise(ClientWarningKind.Store, $"The session could not be stored: {e.Message}", e);
        }
        finally
        {
            Ended?.Invoke();
        }
    }

    /// <summary>The newest refresh token, for logging out.</summary>
    public string? RefreshToken => (store.ReadSession() ?? current).RefreshToken;

    /// <summary>Waits for a running renewal, so that its reply is not lost.</summary>
    public async Task CloseAsync()
    {
        await closing.CancelAsync();
        Task? running;
        lock (gate)
            running = renewal;
        if (running is not null)
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public void Dispose() => closing.Dispose();

    private long Now => options.TimeProvider.GetUtcNow().ToUnixTimeMilliseconds();

    private static long RenewAtOf(StoredSession session) =>
        session.AccessExpiresAt - Math.Min(60_000, (session.AccessExpiresAt - session.AccessIssuedAt) / 3);

    private async Task<string> RenewAsync(string? rejected)
    {
        var backoff = new Backoff(options);
        for (var attempt = 1; ; attempt++)
        {
            TimeSpan? wait = null;
            try
            {
                using var alone = store.TryLockRenewal();
                if (alone is null && attempt % AttemptsBeforeWarning == 0)
                    warnings.Raise(ClientWarningKind.Renewal,
                        "The lock file beside the store cannot be taken: another process holds it, or it cannot be opened.");
                if (alone is not null && await TryRenewAsync(rejected) is { } token)
                    return token;
            }
            catch (SecureMessagingException e) when (e.ErrorCode == ErrorCode.Unauthenticated)
            {
                SessionOver(logger, SessionId);
                End();
                throw SecureMessagingException.SignedOut();
            }
            catch (SecureMessagingException e)
            {
                RenewalFailed(logger, e.ErrorCode);
                warnings.Raise(ClientWarningKind.Renewal, $"The access token could not be renewed yet: {e.Message}", e);
                wait = e.RetryAfter;
            }
            catch (Exception e)
            {
                // For example a store that cannot be read now. It is no answer of the server, so the session goes on.
                RenewalBroke(logger, e.GetType().Name, e.Message);
                warnings.Raise(ClientWarningKind.Renewal, $"The access token could not be renewed yet: {e.Message}", e);
            }
            await backoff.DelayAsync(wait, closing.Token);
        }
    }

    /// <summary>Uses tokens that another process on the same store has renewed, or asks the server.</summary>
    private async Task<string?> TryRenewAsync(string? rejected)
    {
        var stored = store.ReadSession();
        if (stored is not null && stored.AccessIssuedAt < current.AccessIssuedAt)
            stored = current;
        if (stored is not { RefreshToken: not null } || stored.UserId != current.UserId)
            throw SecureMessagingException.SignedOut();
        if (stored.AccessToken is null || stored.AccessToken == rejected || Now >= RenewAtOf(stored))
        {
            // Not cancellable: a lost reply could cost the session.
            var tokens = await http.SendAsync<TokenResponse>(
                HttpMethod.Post, "v1/auth/refresh", new RefreshRequest(stored.RefreshToken), null, CancellationToken.None);
            stored = ToStored(new Uri(stored.Server), tokens, options.TimeProvider);
            Persist(stored);
        }
        lock (gate)
        {
            if (IsOver)
                throw SecureMessagingException.SignedOut();
            current = stored;
        }
        return stored.AccessToken;
    }

    /// <summary>A full disk does not end the session of a running client: the tokens stay in memory until the next renewal.</summary>
    private void Persist(StoredSession session)
    {
        try
        {
            store.WriteSession(session);
        }
        catch (IOException e)
        {
            NotPersisted(logger, e.Message);
            warnings.Raise(ClientWarningKind.Store, $"The session could not be stored: {e.Message}", e);
        }
    }

    [LoggerMessage(7001, LogLevel.Information, "Session {SessionId} is over")]
    private static partial void SessionOver(ILogger logger, Guid sessionId);

    [LoggerMessage(7007, LogLevel.Warning, "The session could not be stored: {Reason}")]
    private static partial void NotPersisted(ILogger logger, string reason);

    [LoggerMessage(7012, LogLevel.Warning, "The access token could not be renewed yet: {ExceptionType}: {Reason}")]
    private static partial void RenewalBroke(ILogger logger, string exceptionType, string reason);

    [LoggerMessage(7002, LogLevel.Debug, "The access token could not be renewed yet: {Code}")]
    private static partial void RenewalFailed(ILogger logger, ErrorCode code);
}
