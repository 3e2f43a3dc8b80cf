using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Encryption;

/// <summary>
/// Slows members whose commits others report as invalid. A junk commit wins its epoch, because the server cannot read it, and so could keep a group unusable.
/// </summary>
/// <remarks>
/// 1. The author of a reported commit is found by its owner proof, among the members and those who left since. It is the server's word: clients show it, and
/// no member is removed by it.
/// 2. One report of a member without the admin role has no effect: a single liar slows no one else. Each further reporter doubles the time for which the
/// author may not commit in the room, from one minute to one day.
/// 3. A reset, which an admin or more than half of the members cause, is a strike. Each strike after the first doubles the time too. One strike is
/// forgotten every day.
/// </remarks>
internal sealed class CommitThrottles(Database database, OwnerProof ownerProof, TimeProvider time, Limits limits)
{
    private const int MostStrikes = 12;
    private const int MostMinutes = 24 * 60;

    private static readonly string EntrySql =
        $"select id, owner_proof, key_version from entries where room_id = @RoomId and seq = @Seq and kind = {(int)EntryKind.Commit}";

    private static readonly string CandidatesSql = $"""
        select user_id from room_members where room_id = @RoomId
        union select user_id from entries
            where room_id = @RoomId and seq > @Seq and kind = {(int)EntryKind.MemberLeft} and user_id in (select id from users)
        limit @Limit
        """;

    private const string Columns = "user_id, strikes, blocked_until, forgotten_at";

    private const string OfUserSql = $"select {Columns} from commit_throttles where room_id = @RoomId and user_id = @UserId";

    private const string OfCommitSql = "select user_id from commit_throttles where room_id = @RoomId and seq = @Seq";

    private const string StoreSql = """
        insert into commit_throttles (room_id, user_id, seq, strikes, blocked_until, forgotten_at)
        values (@RoomId, @UserId, @Seq, @Strikes, @BlockedUntil, @ForgottenAt)
        on conflict (room_id, user_id) do update set
            seq = excluded.seq, strikes = excluded.strikes, blocked_until = excluded.blocked_until, forgotten_at = excluded.forgotten_at
        """;

    private const string PurgeSql = """
        delete from commit_throttles where (room_id, user_id) in (select room_id, user_id from commit_throttles where forgotten_at < @Now limit @Batch)
        """;

    /// <summary>Throws if the member may not commit now. Runs under the room's lock.</summary>
    public async Task RequireAllowedAsync(DbTransaction transaction, Guid roomId, Guid userId, CancellationToken cancellationToken)
    {
        var row = await transaction.QuerySingleAsync<ThrottleRow>(OfUserSql, new { RoomId = roomId, UserId = userId }, cancellationToken);
        if (row?.BlockedUntil - time.Now() is { } wait && wait > TimeSpan.Zero)
        {
            throw new ApiException(ErrorCode.RateLimited, "Members have reported your commits in this room as invalid.")
            {
                RetryAfterMs = (int)wait.TotalMilliseconds,
            };
        }
    }

    /// <summary>Notes a new report, or the reset that it causes. Returns the author of the commit. Runs under the room's lock.</summary>
    /// <param name="transaction">The transaction of the report.</param>
    /// <param name="roomId">The room.</param>
    /// <param name="seq">The commit.</param>
    /// <param name="reports">How many members have reported it.</param>
    /// <param name="resets">Whether the group is reset now.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public async Task<Guid?> NoteAsync(DbTransaction transaction, Guid roomId, long seq, long reports, bool resets, CancellationToken cancellationToken)
    {
        var author = await transaction.QuerySingleAsync<Guid?>(OfCommitSql, new { RoomId = roomId, Seq = seq }, cancellationToken);
        // Once for each commit: the first report stores the author.
        if (author is null && reports == 1)
            author = await FindAuthorAsync(transaction, roomId, seq, cancellationToken);
        if (author is not { } userId)
            return null;
        var now = time.Now();
        var before = await transaction.QuerySingleAsync<ThrottleRow>(OfUserSql, new { RoomId = roomId, UserId = userId }, cancellationToken);
        var strikes = Math.Min(MostStrikes, StrikesOf(before, now) + (resets ? 1 : 0));
        var block = Block(Math.Max(0, strikes - 1) + (int)reports - 1);
        var blockedUntil = block == TimeSpan.Zero ? before?.BlockedUntil : Later(now.Add(block).AddTicks(TimeSpan.TicksPerMinute - 1).ToMinute(), before);
        var parameters = new
        {
            RoomId = roomId,
            UserId = userId,
            Seq = seq,
            Strikes = strikes,
            BlockedUntil = blockedUntil,
            ForgottenAt = now.AddDays(Math.Max(1, strikes)).ToMinute(),
        };
        await transaction.ExecuteAsync(StoreSql, parameters, cancellationToken);
        return userId;
    }

    /// <summary>Deletes what has no effect any more.</summary>
    public Task<int> PurgeAsync(DateTime now, int batch, CancellationToken cancellationToken) =>
        database.ExecuteInBatchesAsync(PurgeSql, new { Now = now, Batch = batch }, batch, cancellationToken);

    private async Task<Guid?> FindAuthorAsync(DbTransaction transaction, Guid roomId, long seq, CancellationToken cancellationToken)
    {
        var parameters = new { RoomId = roomId, Seq = seq, Limit = limits.RoomMembers };
        var entry = await transaction.QuerySingleAsync<AuthoredRow>(EntrySql, parameters, cancellationToken);
        // An erased account: the entry has lost its id and proof.
        if (entry is not { Id: { } id, OwnerProof: { } proof })
            return null;
        var candidates = await transaction.QueryAsync<Guid>(CandidatesSql, parameters, cancellationToken);
        return candidates.Select(candidate => (Guid?)candidate)
            .FirstOrDefault(candidate => ownerProof.Verify(candidate!.Value, roomId, id, proof, entry.KeyVersion));
    }

    private static int StrikesOf(ThrottleRow? row, DateTime now) =>
        row is null ? 0 : Math.Clamp((int)Math.Ceiling((row.ForgottenAt - now).TotalDays), 0, row.Strikes);

    /// <summary>One minute, doubled with each level.</summary>
    private static TimeSpan Block(int level) => level < 1 ? TimeSpan.Zero : TimeSpan.FromMinutes(Math.Min(MostMinutes, 1L << Math.Min(level - 1, 30)));

    private static DateTime Later(DateTime until, ThrottleRow? before) => before?.BlockedUntil > until ? before.BlockedUntil.Value : until;

    private sealed record ThrottleRow
    {
        public Guid UserId { get; init; }
        public int Strikes { get; init; }
        public DateTime? BlockedUntil { get; init; }
        public DateTime ForgottenAt { get; init; }
    }

    private sealed record AuthoredRow
    {
        public Guid? Id { get; init; }
        public byte[]? OwnerProof { get; init; }
        public int KeyVersion { get; init; }
    }
}
