using System.Data.Common;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Auth;

/// <summary>A live session and the refresh token that continues it.</summary>
internal sealed record Grant(Guid UserId, Guid SessionId, DateTime ExpiresAt, string RefreshToken)
{
    public override string ToString() => "[REDACTED]";
}

internal sealed record SessionRow
{
    public Guid Id { get; init; }

    public Guid UserId { get; init; }

    public DateTime StartedAt { get; init; }

    public DateTime? EndedAt { get; init; }

    public DateTime ExpiresAt { get; init; }

    /// <summary>Whether the account administers the server now. Read by <see cref="SessionStore.FindLiveAsync"/> alone.</summary>
    public bool IsAdmin { get; init; }
}

internal sealed record PurgedSessions(int Ended, int Sessions, int RefreshTokens, int Tickets);

/// <summary>
/// Sessions with their refresh tokens and tickets. The sessions table is also the session log: when a session began and ended,
/// to the hour, and nothing about from where. An ended session has no tokens left, and nothing is pushed for it.
/// </summary>
internal sealed class SessionStore(Database database, RefreshTokens tokens, SessionEvents events, SecurityEvents security, TimeProvider time, IOptions<AuthOptions> options)
{
    private const string InsertSession = "insert into sessions (id, user_id, started_at, expires_at) values (@id, @userId, @startedAt, @expiresAt)";

    private const string InsertRefreshToken = "insert into refresh_tokens (hash, session_id, expires_at) values (@hash, @sessionId, @expiresAt)";

    private const string SelectSessions = "select id, user_id, started_at, ended_at, expires_at from sessions where";

    private const string SelectSession = SelectSessions + " id = @sessionId";

    // With what the account is now: a token tells what it was.
    private static readonly string SelectSessionsOfAccounts = $"""
        select s.id, s.user_id, s.started_at, s.ended_at, s.expires_at, u.role = {(int)UserRole.Admin} as is_admin
        from sessions s join users u on u.id = s.user_id and not u.disabled where
        """;

    private const string SelectLiveSession = SelectSession + " and ended_at is null and expires_at > @now";

    private const string CountLive = "select count(*) from sessions where ended_at is null and expires_at > @now";

    private const string SelectSessionsOfUser = """
        select id, user_id, started_at, ended_at, expires_at from sessions where user_id = @userId
        order by case when ended_at is null then 0 else 1 end, started_at desc, id
        limit 200
        """;

    // SQLite has one writer, so its transaction is the lock.
    private const string PostgresRowLock = " for no key update";

    private const string SelectRefreshToken = "select expires_at from refresh_tokens where hash = @hash and session_id = @sessionId";

    private const string SpendRefreshToken = "update refresh_tokens set spent_at = @spentAt where hash = @hash and session_id = @sessionId";

    private const string DeleteOtherRefreshTokens = "delete from refresh_tokens where session_id = @sessionId and hash <> @hash";

    private const string EndSession = """
        update sessions set ended_at = @endedAt, push_endpoint = null where id = @sessionId and user_id = @userId and ended_at is null
        """;

    private const string DeleteTokensOfSession = """
        delete from refresh_tokens where session_id = @sessionId;
        delete from tickets where session_id = @sessionId;
        """;

    private const string LockSessionsOfUser = "select id from sessions where user_id = @userId and ended_at is null order by id" + PostgresRowLock;

    private const string EndSessionsOfUser = """
        update sessions set ended_at = @endedAt, push_endpoint = null where user_id = @userId and id <> @except and ended_at is null returning id
        """;

    private const string DeleteTokensOfEndedSessions = """
        delete from refresh_tokens where session_id in (select id from sessions where user_id = @userId and ended_at is not null);
        delete from tickets where session_id in (select id from sessions where user_id = @userId and ended_at is not null);
        """;

    private const string DeleteSessionsOfUser = "delete from sessions where user_id = @userId returning id, user_id, started_at, ended_at, expires_at";

    private const string InsertTicket = """
        insert into tickets (hash, session_id, expires_at)
        select @hash, id, @expiresAt from sessions where id = @sessionId and ended_at is null and expires_at > @now
        """;

    private const string TakeTicket = "delete from tickets where hash = @hash returning session_id, expires_at";

    private const string EndExpired = """
        update sessions set ended_at = @endedAt, push_endpoint = null
        where id in (select id from sessions where ended_at is null and expires_at <= @now limit @batch) and ended_at is null
        """;

    private const string DeleteEnded = "delete from sessions where id in (select id from sessions where ended_at < @before limit @batch)";

    private const string DeleteExpiredRefreshTokens = "delete from refresh_tokens where hash in (select hash from refresh_tokens where expires_at <= @now limit @batch)";

    private const string DeleteExpiredTickets = "delete from tickets where hash in (select hash from tickets where expires_at <= @now limit @batch)";

    private readonly CoalescedReads<SessionRow> byId = new(database, SelectSessionsOfAccounts, "s.id", session => session.Id);

    /// <summary>Begins a session in the caller's transaction, which has made sure that the account may sign in.</summary>
    public async Task<Grant> StartAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken)
    {
        var now = time.Now();
        // To the hour like the rest of the log, which an exact end would give away.
        var (id, expiresAt) = (Guid.NewGuid(), (now + options.Value.SessionLifetime).ToHour());
        await transaction.ExecuteAsync(InsertSession, new { id, userId, startedAt = now.ToHour(), expiresAt }, cancellationToken);
        return new Grant(userId, id, expiresAt, await AddRefreshTokenAsync(transaction, id, now, expiresAt, cancellationToken));
    }

    /// <summary>
    /// Exchanges a refresh token for its successor. Null: the token is worth nothing (any more).
    /// </summary>
    /// <remarks>
    /// 1. The session's row is locked, so that uses of one session's tokens come one after the other.
    /// 2. A session has one token that is not spent, and the spent one that it came from. The use of either gives a fresh successor, and every other token dies: a
    ///    lost reply can be asked for again, however late, until a successor has been used.
    /// 3. Any other token that this server made is reuse: two hold copies, and who is who cannot be told. The session ends. So a thief who repeats a refresh is
    ///    found out as soon as the owner uses the successor that died by it.
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

    public async Task<SessionRow?> FindLiveAsync(Guid sessionId, CancellationToken cancellationToken) =>
        (await byId.ReadAsync(sessionId, cancellationToken)).Find(session => session.EndedAt is null && session.ExpiresAt > time.Now());

    public Task<List<SessionRow>> ListAsync(Guid userId, CancellationToken cancellationToken) =>
        database.ReadAsync(connection => connection.QueryAsync<SessionRow>(SelectSessionsOfUser, new { userId }, cancellationToken), cancellationToken);

    public Task<long> CountLiveAsync(CancellationToken cancellationToken) =>
        database.ReadAsync(connection => connection.QuerySingleAsync<long>(CountLive, new { now = time.Now() }, cancellationToken), cancellationToken);

    /// <summary>Ends one session of the user. False: the user has no such session.</summary>
    public async Task<bool> EndAsync(Guid userId, Guid sessionId, CancellationToken cancellationToken)
    {
        var (found, ended) = await database.WriteAsync(
            async transaction =>
            {
                if (await EndAsync(transaction, userId, sessionId, cancellationToken))
                    return (true, true);
                var session = await transaction.QuerySingleAsync<SessionRow>(SelectSession, new { sessionId }, cancellationToken);
                return (session?.UserId == userId, false);
            },
            cancellationToken);
        if (ended)
            events.RaiseEnded(sessionId, SessionEndReason.LoggedOut);
        return found;
    }

    /// <summary>Ends every session of the user but one. The caller raises the events of the returned ids once its transaction is committed.</summary>
    public async Task<List<Guid>> EndAllAsync(DbTransaction transaction, Guid userId, Guid? except, CancellationToken cancellationToken)
    {
        // In the order of ids, so that two of these at once cannot wait for each other.
        if (database.IsPostgres)
            await transaction.QueryAsync<Guid>(LockSessionsOfUser, new { userId }, cancellationToken);
        var ended = await transaction.QueryAsync<Guid>(
            EndSessionsOfUser, new { userId, except = except ?? Guid.Empty, endedAt = time.Now().ToHour() }, cancellationToken);
        await transaction.ExecuteAsync(DeleteTokensOfEndedSessions, new { userId }, cancellationToken);
        return ended;
    }

    public async Task EndAllAsync(Guid userId, CancellationToken cancellationToken) =>
        RaiseEnded(
            await database.WriteAsync(transaction => EndAllAsync(transaction, userId, except: null, cancellationToken), cancellationToken),
            SessionEndReason.LoggedOut);

    /// <summary>Erases the user's sessions with their log. Returns the ids of those that were live.</summary>
    public async Task<List<Guid>> EraseAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken)
    {
        if (database.IsPostgres)
            await transaction.QueryAsync<Guid>(LockSessionsOfUser, new { userId }, cancellationToken);
        var sessions = await transaction.QueryAsync<SessionRow>(DeleteSessionsOfUser, new { userId }, cancellationToken);
        return [.. sessions.Where(session => session.EndedAt is null).Select(session => session.Id)];
    }

    public void RaiseEnded(IEnumerable<Guid> sessionIds, SessionEndReason reason)
    {
        foreach (var id in sessionIds)
            events.RaiseEnded(id, reason);
    }

    /// <summary>A ticket for the session, or null when the session is over.</summary>
    public async Task<string?> IssueTicketAsync(Guid sessionId, CancellationToken cancellationToken)
    {
        var ticket = RandomNumberGenerator.GetBytes(OpaqueTokens.RandomBytes);
        var now = time.Now();
        var inserted = await database.ExecuteAsync(
            InsertTicket, new { hash = OpaqueTokens.Hash(ticket), sessionId, now, expiresAt = now + options.Value.TicketLifetime }, cancellationToken);
        return inserted == 1 ? System.Buffers.Text.Base64Url.EncodeToString(ticket) : null;
    }

    /// <summary>Uses a ticket up. Null: there was none, it came late, or its session is over.</summary>
    public async Task<SessionRow?> TakeTicketAsync(string ticket, CancellationToken cancellationToken)
    {
        if (OpaqueTokens.Read(ticket, OpaqueTokens.RandomBytes) is not { } bytes)
            return null;
        return await database.WriteAsync(
            async transaction =>
            {
                var taken = await transaction.QuerySingleAsync<TicketRow>(TakeTicket, new { hash = OpaqueTokens.Hash(bytes) }, cancellationToken);
                var now = time.Now();
                return taken is not null && taken.ExpiresAt > now
                    ? await transaction.QuerySingleAsync<SessionRow>(SelectLiveSession, new { sessionId = taken.SessionId, now }, cancellationToken)
                    : null;
            },
            cancellationToken);
    }

    /// <summary>
    /// Keeps the log to its time and the tables small, a batch a transaction: ends sessions whose time is over, deletes those that ended
    /// before <paramref name="now"/> − <paramref name="keepEndedFor"/>, and tokens and tickets that nobody can use any more.
    /// </summary>
    public async Task<PurgedSessions> PurgeAsync(DateTime now, TimeSpan keepEndedFor, int batch, CancellationToken cancellationToken) => new(
        await InBatchesAsync(EndExpired, new { now, endedAt = now.ToHour(), batch }, batch, cancellationToken),
        await InBatchesAsync(DeleteEnded, new { before = now - keepEndedFor, batch }, batch, cancellationToken),
        await InBatchesAsync(DeleteExpiredRefreshTokens, new { now, batch }, batch, cancellationToken),
        await InBatchesAsync(DeleteExpiredTickets, new { now, batch }, batch, cancellationToken));

    private async Task<int> InBatchesAsync(string sql, object parameters, int batch, CancellationToken cancellationToken)
    {
        var total = 0;
        int affected;
        do
        {
            affected = await database.ExecuteAsync(sql, parameters, cancellationToken);
            total += affected;
        }
        while (affected >= batch);
        return total;
    }

    private async Task<(Grant? Grant, bool Reused)> RenewAsync(DbTransaction transaction, Guid sessionId, byte[] hash, CancellationToken cancellationToken)
    {
        var session = await transaction.QuerySingleAsync<SessionRow>(
            database.IsPostgres ? SelectSession + PostgresRowLock : SelectSession, new { sessionId }, cancellationToken);
        // Read after the wait for the lock, which may have been long in a race.
        var now = time.Now();
        if (session is null || session.EndedAt is not null || session.ExpiresAt <= now)
            return (null, false);
        var token = await transaction.QuerySingleAsync<RefreshTokenRow>(SelectRefreshToken, new { hash, sessionId }, cancellationToken);
        if (token is null)
            return (null, await EndAsync(transaction, session.UserId, sessionId, cancellationToken));
        if (token.ExpiresAt <= now)
            return (null, false);
        await transaction.ExecuteAsync(DeleteOtherRefreshTokens, new { sessionId, hash }, cancellationToken);
        await transaction.ExecuteAsync(SpendRefreshToken, new { sessionId, hash, spentAt = now.ToHour() }, cancellationToken);
        var successor = await AddRefreshTokenAsync(transaction, sessionId, now, session.ExpiresAt, cancellationToken);
        return (new Grant(session.UserId, sessionId, session.ExpiresAt, successor), false);
    }

    /// <summary>Ends one session of the user in the caller's transaction. When it returns true, the caller raises the event once that is committed.</summary>
    public async Task<bool> EndAsync(DbTransaction transaction, Guid userId, Guid sessionId, CancellationToken cancellationToken)
    {
        var ended = await transaction.ExecuteAsync(EndSession, new { sessionId, userId, endedAt = time.Now().ToHour() }, cancellationToken) == 1;
        if (ended)
            await transaction.ExecuteAsync(DeleteTokensOfSession, new { sessionId }, cancellationToken);
        return ended;
    }

    private async Task<string> AddRefreshTokenAsync(
        DbTransaction transaction, Guid sessionId, DateTime now, DateTime sessionExpiresAt, CancellationToken cancellationToken)
    {
        var (token, hash) = tokens.Mint(sessionId);
        var sliding = (now + options.Value.RefreshTokenLifetime).ToHour();
        var expiresAt = sliding < sessionExpiresAt ? sliding : sessionExpiresAt;
        await transaction.ExecuteAsync(InsertRefreshToken, new { hash, sessionId, expiresAt }, cancellationToken);
        return token;
    }

    private sealed record RefreshTokenRow
    {
        public DateTime ExpiresAt { get; init; }
    }

    private sealed record TicketRow
    {
        public Guid SessionId { get; init; }

        public DateTime ExpiresAt { get; init; }
    }
}
