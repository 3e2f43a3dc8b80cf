using System.Data.Common;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;

namespace SecureMessaging.Server.Accounts;

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

    /// <summary>Only <see cref="SessionStore.ListAsync"/> reads it.</summary>
    public byte[]? Label { get; init; }

    /// <summary>Whether the account has the admin role now. Only <see cref="SessionStore.FindLiveAsync"/> reads it.</summary>
    public bool IsAdmin { get; init; }
}

internal sealed record RefreshTokenRow
{
    public DateTime ExpiresAt { get; init; }
}

internal sealed record PurgedSessions(int Ended, int Sessions, int RefreshTokens, int Tickets);

/// <summary>
/// Sessions with their refresh tokens and tickets. The sessions table is also the session log: start and end of each session, to the hour, without an address.
/// An ended session has no tokens and no push endpoint.
/// </summary>
internal sealed class SessionStore(Database database, RefreshTokens tokens, TimeProvider time, IOptions<AuthOptions> options)
{
    private const string InsertSessionSql = "insert into sessions (id, user_id, started_at, expires_at) values (@id, @userId, @startedAt, @expiresAt)";

    private const string InsertRefreshTokenSql = "insert into refresh_tokens (hash, session_id, expires_at) values (@hash, @sessionId, @expiresAt)";

    private const string SelectSessionsSql = "select id, user_id, started_at, ended_at, expires_at from sessions where";

    private const string SelectSessionSql = SelectSessionsSql + " id = @sessionId";

    // With the account's current role: a token states an earlier one.
    private static readonly string SelectSessionsOfAccountsSql = $"""
        select s.id, s.user_id, s.started_at, s.ended_at, s.expires_at, u.role = {(int)UserRole.Admin} as is_admin
        from sessions s join users u on u.id = s.user_id and not u.disabled where
        """;

    private const string SelectLiveSessionSql = SelectSessionSql + " and ended_at is null and expires_at > @now";

    private const string CountLiveSql = "select count(*) from sessions where ended_at is null and expires_at > @now";

    private const string SelectSessionsOfUserSql = """
        select id, user_id, started_at, ended_at, expires_at, label from sessions where user_id = @userId
        order by case when ended_at is null then 0 else 1 end, started_at desc, id
        limit 200
        """;

    private const string LabelSql = "update sessions set label = @label where id = @sessionId and user_id = @userId and ended_at is null";

    // SQLite has one writer, so its transaction is the lock.
    private const string PostgresRowLock = " for no key update";

    private const string SelectRefreshTokenSql = "select expires_at from refresh_tokens where hash = @hash and session_id = @sessionId";

    private const string SpendRefreshTokenSql = "update refresh_tokens set spent_at = @spentAt where hash = @hash and session_id = @sessionId";

    private const string DeleteOtherRefreshTokensSql = "delete from refresh_tokens where session_id = @sessionId and hash <> @hash";

    private const string EndSessionSql = """
        update sessions set ended_at = @endedAt, push_endpoint = null where id = @sessionId and user_id = @userId and ended_at is null
        """;

    private const string DeleteTokensOfSessionSql = """
        delete from refresh_tokens where session_id = @sessionId;
        delete from tickets where session_id = @sessionId;
        """;

    private const string LockSessionsOfUserSql = "select id from sessions where user_id = @userId and ended_at is null order by id" + PostgresRowLock;

    private const string EndSessionsOfUserSql = """
        update sessions set ended_at = @endedAt, push_endpoint = null where user_id = @userId and id <> @except and ended_at is null returning id
        """;

    private const string DeleteTokensOfEndedSessionsSql = """
        delete from refresh_tokens where session_id in (select id from sessions where user_id = @userId and ended_at is not null);
        delete from tickets where session_id in (select id from sessions where user_id = @userId and ended_at is not null);
        """;

    private const string DeleteSessionsOfUserSql = "delete from sessions where user_id = @userId returning id, user_id, started_at, ended_at, expires_at";

    private const string InsertTicketSql = """
        insert into tickets (hash, session_id, expires_at)
        select @hash, id, @expiresAt from sessions where id = @sessionId and ended_at is null and expires_at > @now
        """;

    private const string TakeTicketSql = "delete from tickets where hash = @hash returning session_id, expires_at";

    private const string EndExpiredSql = """
        update sessions set ended_at = @endedAt, push_endpoint = null
        where id in (select id from sessions where ended_at is null and expires_at <= @now limit @batch) and ended_at is null
        """;

    private const string DeleteEndedSql = "delete from sessions where id in (select id from sessions where ended_at < @before limit @batch)";

    // Also those of sessions that have ended by themselves: they expire at the end of the day.
    private const string DeleteExpiredRefreshTokensSql = """
        delete from refresh_tokens where hash in (
            select hash from refresh_tokens where expires_at <= @now
            union all select r.hash from sessions s join refresh_tokens r on r.session_id = s.id where s.ended_at is not null
            limit @batch)
        """;

    private const string DeleteExpiredTicketsSql = "delete from tickets where hash in (select hash from tickets where expires_at <= @now limit @batch)";

    private readonly CoalescedReads<SessionRow> byId = new(database, SelectSessionsOfAccountsSql, "s.id", session => session.Id);

    /// <summary>Starts a session in the caller's transaction, which has checked that the account may sign in.</summary>
    public async Task<Grant> StartAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken)
    {
        var now = time.Now();
        // To the hour: an exact expiry would reveal the exact start.
        var (id, expiresAt) = (Guid.NewGuid(), (now + options.Value.SessionLifetime).ToHour());
        await transaction.ExecuteAsync(InsertSessionSql, new { id, userId, startedAt = now.ToHour(), expiresAt }, cancellationToken);
        return new Grant(userId, id, expiresAt, await AddRefreshTokenAsync(transaction, id, now, expiresAt, cancellationToken));
    }

    public static Task<SessionRow?> FindAsync(DbTransaction transaction, Guid sessionId, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<SessionRow>(SelectSessionSql, new { sessionId }, cancellationToken);

    /// <summary>Reads a session whose row stays locked until the end of the transaction.</summary>
    public Task<SessionRow?> LockAsync(DbTransaction transaction, Guid sessionId, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<SessionRow>(
            database.IsPostgres ? SelectSessionSql + PostgresRowLock : SelectSessionSql, new { sessionId }, cancellationToken);

    public static Task<RefreshTokenRow?> FindRefreshTokenAsync(DbTransaction transaction, Guid sessionId, byte[] hash, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<RefreshTokenRow>(SelectRefreshTokenSql, new { hash, sessionId }, cancellationToken);

    /// <summary>Spends a refresh token of the session, deletes its other ones and adds a successor.</summary>
    public async Task<Grant> RenewAsync(DbTransaction transaction, SessionRow session, byte[] hash, DateTime now, CancellationToken cancellationToken)
    {
        await transaction.ExecuteAsync(DeleteOtherRefreshTokensSql, new { sessionId = session.Id, hash }, cancellationToken);
        await transaction.ExecuteAsync(SpendRefreshTokenSql, new { sessionId = session.Id, hash, spentAt = now.ToDay() }, cancellationToken);
        var successor = await AddRefreshTokenAsync(transaction, session.Id, now, session.ExpiresAt, cancellationToken);
        return new Grant(session.UserId, session.Id, session.ExpiresAt, successor);
    }

    public async Task<SessionRow?> FindLiveAsync(Guid sessionId, CancellationToken cancellationToken) =>
        (await byId.ReadAsync(sessionId, cancellationToken)).Find(session => session.EndedAt is null && session.ExpiresAt > time.Now());

    public Task<List<SessionRow>> ListAsync(Guid userId, CancellationToken cancellationToken) =>
        database.ReadAsync(connection => connection.QueryAsync<SessionRow>(SelectSessionsOfUserSql, new { userId }, cancellationToken), cancellationToken);

    /// <summary>False: the user has no such live session.</summary>
    public async Task<bool> TryLabelAsync(Guid userId, Guid sessionId, byte[]? label, CancellationToken cancellationToken) =>
        await database.ExecuteAsync(LabelSql, new { userId, sessionId, label }, cancellationToken) == 1;

    public Task<long> CountLiveAsync(CancellationToken cancellationToken) =>
        database.ReadAsync(connection => connection.QuerySingleAsync<long>(CountLiveSql, new { now = time.Now() }, cancellationToken), cancellationToken);

    /// <summary>Ends one session of the user in the caller's transaction. When it returns true, the caller raises the event once that is committed.</summary>
    public async Task<bool> EndAsync(DbTransaction transaction, Guid userId, Guid sessionId, CancellationToken cancellationToken)
    {
        var ended = await transaction.ExecuteAsync(EndSessionSql, new { sessionId, userId, endedAt = time.Now().ToHour() }, cancellationToken) == 1;
        if (ended)
            await transaction.ExecuteAsync(DeleteTokensOfSessionSql, new { sessionId }, cancellationToken);
        return ended;
    }

    /// <summary>Ends every session of the user but one. The caller raises the events of the returned ids once that is committed.</summary>
    public async Task<List<Guid>> EndAllAsync(DbTransaction transaction, Guid userId, Guid? except, CancellationToken cancellationToken)
    {
        // In the order of ids, so that two concurrent calls cannot deadlock.
        if (database.IsPostgres)
            await transaction.QueryAsync<Guid>(LockSessionsOfUserSql, new { userId }, cancellationToken);
        var ended = await transaction.QueryAsync<Guid>(
            EndSessionsOfUserSql, new { userId, except = except ?? Guid.Empty, endedAt = time.Now().ToHour() }, cancellationToken);
        await transaction.ExecuteAsync(DeleteTokensOfEndedSessionsSql, new { userId }, cancellationToken);
        return ended;
    }

    /// <summary>Erases the user's sessions with their log. Returns the ids of the live ones.</summary>
    public async Task<List<Guid>> EraseAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken)
    {
        if (database.IsPostgres)
            await transaction.QueryAsync<Guid>(LockSessionsOfUserSql, new { userId }, cancellationToken);
        var sessions = await transaction.QueryAsync<SessionRow>(DeleteSessionsOfUserSql, new { userId }, cancellationToken);
        return [.. sessions.Where(session => session.EndedAt is null).Select(session => session.Id)];
    }

    /// <summary>A ticket for the session. Null: the session has ended.</summary>
    public async Task<TicketResponse?> IssueTicketAsync(Guid sessionId, CancellationToken cancellationToken)
    {
        var ticket = RandomNumberGenerator.GetBytes(OpaqueTokens.RandomBytes);
        var now = time.Now();
        var inserted = await database.ExecuteAsync(
            InsertTicketSql,
            new { hash = OpaqueTokens.Hash(ticket), sessionId, now, expiresAt = (now + options.Value.TicketLifetime).ToSecond() },
            cancellationToken);
        return inserted == 1 ? new TicketResponse(System.Buffers.Text.Base64Url.EncodeToString(ticket), (int)options.Value.TicketLifetime.TotalSeconds) : null;
    }

    /// <summary>Consumes a ticket. Null: it is unknown or expired, or its session has ended.</summary>
    public async Task<SessionRow?> TakeTicketAsync(string ticket, CancellationToken cancellationToken)
    {
        if (OpaqueTokens.Read(ticket, OpaqueTokens.RandomBytes) is not { } bytes)
            return null;
        return await database.WriteAsync(
            async transaction =>
            {
                var taken = await transaction.QuerySingleAsync<TicketRow>(TakeTicketSql, new { hash = OpaqueTokens.Hash(bytes) }, cancellationToken);
                var now = time.Now();
                return taken is not null && taken.ExpiresAt > now
                    ? await transaction.QuerySingleAsync<SessionRow>(SelectLiveSessionSql, new { sessionId = taken.SessionId, now }, cancellationToken)
                    : null;
            },
            cancellationToken);
    }

    /// <summary>
    /// Ends expired sessions, and deletes sessions that ended before <paramref name="now"/> − <paramref name="keepEndedFor"/> and expired tokens and tickets.
    /// One batch a transaction.
    /// </summary>
    public async Task<PurgedSessions> PurgeAsync(DateTime now, TimeSpan keepEndedFor, int batch, CancellationToken cancellationToken) => new(
        await database.ExecuteInBatchesAsync(EndExpiredSql, new { now, endedAt = now.ToHour(), batch }, batch, cancellationToken),
        await database.ExecuteInBatchesAsync(DeleteEndedSql, new { before = now - keepEndedFor, batch }, batch, cancellationToken),
        await database.ExecuteInBatchesAsync(DeleteExpiredRefreshTokensSql, new { now, batch }, batch, cancellationToken),
        await database.ExecuteInBatchesAsync(DeleteExpiredTicketsSql, new { now, batch }, batch, cancellationToken));

    private async Task<string> AddRefreshTokenAsync(
        DbTransaction transaction, Guid sessionId, DateTime now, DateTime sessionExpiresAt, CancellationToken cancellationToken)
    {
        var (token, hash) = tokens.Mint(sessionId);
        // To the end of the day: an exact expiry would reveal when the session was last in use. The session's own end is checked too.
        var sliding = now + options.Value.RefreshTokenLifetime;
        var expiresAt = (sliding < sessionExpiresAt ? sliding : sessionExpiresAt).AddDays(1).AddTicks(-1).ToDay();
        await transaction.ExecuteAsync(InsertRefreshTokenSql, new { hash, sessionId, expiresAt }, cancellationToken);
        return token;
    }

    private sealed record TicketRow
    {
        public Guid SessionId { get; init; }

        public DateTime ExpiresAt { get; init; }
    }
}
