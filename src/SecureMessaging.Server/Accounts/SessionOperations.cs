using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Accounts;

/// <summary>The life of a session, the same for all doors. An end is committed before its event is raised.</summary>
internal sealed class SessionOperations(
    Database database, SessionStore sessions, RefreshTokens tokens, SessionEvents events, SecurityEvents security, TimeProvider time, Limits limits)
{
    /// <summary>Starts a session in the transaction in which <paramref name="admit"/> creates or checks the account and returns its id.</summary>
    public Task<Grant> StartAsync(Func<DbTransaction, Task<Guid>> admit, CancellationToken cancellationToken) => database.WriteAsync(
        async transaction => await sessions.StartAsync(transaction, await admit(transaction), cancellationToken), cancellationToken);

    /// <summary>
    /// Exchanges a refresh token for its successor. Null: the token is not valid, or no longer valid.
    /// </summary>
    /// <remarks>
    /// 1. The session's row is locked, so that refreshes of one session run one after the other.
    /// 2. A session has one unspent token, and its spent predecessor. Using either returns a new successor and invalidates every other token. So a client can
    ///    retry after a lost reply, without a time limit, until it uses a successor.
    /// 3. Any other token of this server is reuse: two parties hold copies, and the server cannot tell which one is the owner. The session ends. A thief that
    ///    repeats a refresh is thus detected when the owner uses the invalidated successor.
    /// </remarks>
    public async Task<Grant?> RenewAsync(string refreshToken, CancellationToken cancellationToken)
    {
        if (tokens.Read(refreshToken) is not var (sessionId, hash))
            return null;
        var (grant, reused) = await database.WriteAsync(transaction => RenewAsync(transaction, sessionId, hash, cancellationToken), cancellationToken);
        if (reused)
        {
            security.Count(SecurityCause.RefreshTokenReused);
            events.RaiseEnded(sessionId, SessionEndReason.LoggedOut);
        }

        return grant;
    }

    public async Task<TicketResponse> IssueTicketAsync(Caller caller, CancellationToken cancellationToken) =>
        await sessions.IssueTicketAsync(caller.SessionId, cancellationToken)
            ?? throw new ApiException(ErrorCode.Unauthenticated, "The session has ended. Sign in again.");

    public async Task<SessionSummary[]> ListAsync(Caller caller, CancellationToken cancellationToken)
    {
        var rows = await sessions.ListAsync(caller.UserId, cancellationToken);
        return [.. rows.Select(row => new SessionSummary(row.Id, row.StartedAt, row.EndedAt, row.Id == caller.SessionId, row.Label))];
    }

    /// <summary>Ends one session of the caller. Idempotent: a session that has ended already is no error. False: the caller has no such session.</summary>
    public async Task<bool> TryEndAsync(Caller caller, Guid sessionId, CancellationToken cancellationToken)
    {
        var (found, ended) = await database.WriteAsync(
            async transaction =>
            {
                if (await sessions.EndAsync(transaction, caller.UserId, sessionId, cancellationToken))
                    return (true, true);
                var session = await SessionStore.FindAsync(transaction, sessionId, cancellationToken);
                return (session?.UserId == caller.UserId, false);
            },
            cancellationToken);
        if (ended)
            events.RaiseEnded(sessionId, SessionEndReason.LoggedOut);
        return found;
    }

    /// <summary>Sets or clears the name that the user sees for one of its live sessions. The server cannot read it.</summary>
    public async Task LabelAsync(Caller caller, Guid sessionId, LabelSessionRequest request, CancellationToken cancellationToken)
    {
        if (request.Label?.Length > limits.NameBytes)
            throw ApiException.TooLarge("label", limits.NameBytes);
        if (!await sessions.TryLabelAsync(caller.UserId, sessionId, request.Label, cancellationToken))
            throw ApiException.NotFound();
    }

    public async Task EndAsync(Caller caller, Guid sessionId, CancellationToken cancellationToken)
    {
        if (!await TryEndAsync(caller, sessionId, cancellationToken))
            throw ApiException.NotFound();
    }

    /// <summary>False: the account has been erased.</summary>
    public Task<bool> LogOutAsync(Caller caller, CancellationToken cancellationToken) => TryEndAsync(caller, caller.SessionId, cancellationToken);

    public Task LogOutEverywhereAsync(Caller caller, CancellationToken cancellationToken) =>
        EndAllAsync(caller.UserId, except: null, SessionEndReason.LoggedOut, _ => Task.CompletedTask, cancellationToken);

    /// <summary>Makes a change of the account and ends every session of the user but one, in one transaction. Returns how many have ended.</summary>
    public async Task<int> EndAllAsync(
        Guid userId, Guid? except, SessionEndReason reason, Func<DbTransaction, Task> change, CancellationToken cancellationToken)
    {
        var ended = await database.WriteAsync(
            async transaction =>
            {
                await change(transaction);
                return await sessions.EndAllAsync(transaction, userId, except, cancellationToken);
            },
            cancellationToken);
        events.RaiseEnded(ended, reason);
        return ended.Count;
    }

    private async Task<(Grant? Grant, bool Reused)> RenewAsync(DbTransaction transaction, Guid sessionId, byte[] hash, CancellationToken cancellationToken)
    {
        var session = await sessions.LockAsync(transaction, sessionId, cancellationToken);
        // Read after the lock, for which a concurrent refresh may have waited long.
        var now = time.Now();
        if (session is null || session.EndedAt is not null || session.ExpiresAt <= now)
            return (null, false);
        var token = await SessionStore.FindRefreshTokenAsync(transaction, sessionId, hash, cancellationToken);
        if (token is null)
            return (null, await sessions.EndAsync(transaction, session.UserId, sessionId, cancellationToken));
        return token.ExpiresAt > now
            ? (await sessions.RenewAsync(transaction, session, hash, now, cancellationToken), false)
            : (null, false);
    }
}
