using Microsoft.Extensions.Logging;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// The session's tokens. Renews the access token before it expires, once for all callers and all processes on the same store, for as long as it takes:
/// only the server's definite no ends the session. A new refresh token is on disk before anyone uses what came with it; should the process die in between,
/// the server takes the old one until a newer one has been used.
/// </summary>
internal sealed partial class Session : IDisposable
{
    /// <summary>Another process renews for a moment; longer than these is worth a warning.</summary>
    private const int AttemptsBeforeWarning = 5;

    private readonly ClientStore _store;
    private readonly Http _http;
    private readonly ClientOptions _options;
    private readonly Warnings _warnings;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _closing = new();
    private readonly Lock _gate = new();
    private StoredSession _current;
    private Task<string>? _renewal;

    public Session(StoredSession current, ClientStore store, Http http, ClientOptions options, Warnings warnings, ILogger logger)
    {
        (_current, _store, _http, _options, _warnings, _logger) = (current, store, http, options, warnings, logger);
        UserId = Guid.Parse(current.UserId);
        SessionId = Guid.Parse(current.SessionId);
    }

    /// <summary>The session is over; called once.</summary>
    public event Action? Ended;

    public Guid UserId { get; }

    public Guid SessionId { get; }

    public string Username => _current.Username;

    public bool IsOver { get; private set; }

    /// <summary>When the access token should be renewed: a minute before it expires, or a third of a short life.</summary>
    public DateTimeOffset RenewAt => DateTimeOffset.FromUnixTimeMilliseconds(RenewAtOf(_current));

    /// <exception cref="SecureMessagingException">The server left something out.</exception>
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

    /// <summary>An access token that is good for a while.</summary>
    /// <param name="rejected">One that the server refused although it looks good, by our clock.</param>
    /// <param name="cancellationToken">Ends the wait, not the renewal, which others may be waiting for.</param>
    public Task<string> AccessTokenAsync(string? rejected, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (IsOver)
                throw SecureMessagingException.SignedOut();
            if (_current.AccessToken is { } token && token != rejected && Now < RenewAtOf(_current))
                return Task.FromResult(token);
            if (_renewal is null or { IsCompleted: true })
                _renewal = Task.Run(() => RenewAsync(rejected), CancellationToken.None);
            return _renewal.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Calls REST with the access token; renews it once when the server has had enough of it.</summary>
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
    /// Ends the session here: the tokens go, the outbox and the cursors stay for the same account's next sign-in. Tokens that cannot be taken off the disk
    /// are worth nothing any more, so that is no reason to leave anyone waiting.
    /// </summary>
    public void End()
    {
        lock (_gate)
        {
            if (IsOver)
                return;
            IsOver = true;
            _current = _current with { RefreshToken = null, AccessToken = null };
        }
        try
        {
            if (_store.ReadSession()?.SessionId == _current.SessionId)
                _store.WriteSession(_current);
        }
        catch (IOException e)
        {
            NotPersisted(_logger, e.Message);
            _warnings.Raise(ClientWarningKind.Store, $"The session could not be stored: {e.Message}", e);
        }
        finally
        {
            Ended?.Invoke();
        }
    }

    /// <summary>The newest refresh token, for logging out.</summary>
    public string? RefreshToken => (_store.ReadSession() ?? _current).RefreshToken;

    /// <summary>Lets a renewal that is under way come to its end, so that its reply is not lost.</summary>
    public async Task CloseAsync()
    {
        await _closing.CancelAsync();
        Task? renewal;
        lock (_gate)
            renewal = _renewal;
        if (renewal is not null)
            await renewal.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public void Dispose() => _closing.Dispose();

    private long Now => _options.TimeProvider.GetUtcNow().ToUnixTimeMilliseconds();

    private static long RenewAtOf(StoredSession session) =>
        session.AccessExpiresAt - Math.Min(60_000, (session.AccessExpiresAt - session.AccessIssuedAt) / 3);

    private async Task<string> RenewAsync(string? rejected)
    {
        var backoff = new Backoff(_options);
        for (var attempt = 1; ; attempt++)
        {
            TimeSpan? wait = null;
            try
            {
                using var alone = _store.TryLockRenewal();
                if (alone is null && attempt % AttemptsBeforeWarning == 0)
                    _warnings.Raise(ClientWarningKind.Renewal, "The lock file beside the store cannot be taken: another process holds it, or it cannot be opened.");
                if (alone is not null && await TryRenewAsync(rejected) is { } token)
                    return token;
            }
            catch (SecureMessagingException e) when (e.ErrorCode == ErrorCode.Unauthenticated)
            {
                SessionOver(_logger, SessionId);
                End();
                throw SecureMessagingException.SignedOut();
            }
            catch (SecureMessagingException e)
            {
                RenewalFailed(_logger, e.ErrorCode);
                _warnings.Raise(ClientWarningKind.Renewal, $"The access token could not be renewed yet: {e.Message}", e);
                wait = e.RetryAfter;
            }
            catch (Exception e)
            {
                // The store cannot be read for the moment, say. Whatever it is, it is no word of the server's.
                RenewalBroke(_logger, e.GetType().Name, e.Message);
                _warnings.Raise(ClientWarningKind.Renewal, $"The access token could not be renewed yet: {e.Message}", e);
            }
            await backoff.DelayAsync(wait, _closing.Token);
        }
    }

    /// <summary>Takes over what another process on the same store has renewed already, or asks the server.</summary>
    private async Task<string?> TryRenewAsync(string? rejected)
    {
        var stored = _store.ReadSession();
        if (stored is not null && stored.AccessIssuedAt < _current.AccessIssuedAt)
            stored = _current;
        if (stored is not { RefreshToken: not null } || stored.UserId != _current.UserId)
            throw SecureMessagingException.SignedOut();
        if (stored.AccessToken is null || stored.AccessToken == rejected || Now >= RenewAtOf(stored))
        {
            // Not cancellable: a reply that nobody reads would cost the session.
            var tokens = await _http.SendAsync<TokenResponse>(
                HttpMethod.Post, "v1/auth/refresh", new RefreshRequest(stored.RefreshToken), null, CancellationToken.None);
            stored = ToStored(new Uri(stored.Server), tokens, _options.TimeProvider);
            Persist(stored);
        }
        lock (_gate)
        {
            if (IsOver)
                throw SecureMessagingException.SignedOut();
            _current = stored;
        }
        return stored.AccessToken;
    }

    /// <summary>A full disk must not cost a running client its session: then the tokens live in memory until the next renewal.</summary>
    private void Persist(StoredSession session)
    {
        try
        {
            _store.WriteSession(session);
        }
        catch (IOException e)
        {
            NotPersisted(_logger, e.Message);
            _warnings.Raise(ClientWarningKind.Store, $"The session could not be stored: {e.Message}", e);
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
