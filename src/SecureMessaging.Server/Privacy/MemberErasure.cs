using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Privacy;

/// <summary>Removes an account from every room: its memberships, its entries, and its name in roster entries.</summary>
/// <remarks>
/// Sealed entries have no sender. They are found by computing the owner proof of every entry of the rooms with the account as member, or with roster entries of
/// it. If the account is the only owner of a room, the oldest admin becomes owner, or else the oldest member.
/// </remarks>
internal sealed class MemberErasure(Database database, RosterStore roster, LogStore log, OwnerProof ownerProof, CommitFeed feed, RoomEvents events)
{
    private const int ScanBatch = 500;

    private const string RoomsSql = "select room_id from room_members where user_id = @UserId order by room_id";

    // Also rooms that the account has left, while roster entries name it.
    private const string ContentRoomsSql =
        "select room_id from room_members where user_id = @UserId union select room_id from entries where user_id = @UserId order by 1";

    private const string MembersSql = "select user_id, role from room_members where room_id = @RoomId and user_id <> @UserId order by role desc, joined_seq";

    private static readonly string IsHandshake = $"kind in ({(int)EntryKind.Proposal}, {(int)EntryKind.Commit})";

    private const string ScanSql = """
        select seq, id, owner_proof, key_version from entries
        where room_id = @RoomId and seq > @AfterSeq and owner_proof is not null order by seq limit @Limit
        """;

    // A handshake stays without its sender: offline devices could not follow the group without it.
    private static readonly string Erasing = $"""
        update entries set
            kind = case when {IsHandshake} then kind else {(int)EntryKind.Gone} end,
            created_at = case when {IsHandshake} then created_at end,
            ciphertext = case when {IsHandshake} then ciphertext end,
            expires_at = case when {IsHandshake} then expires_at end,
            id = null, owner_proof = null, sender_id = null
        """;

    private static readonly string EraseEntrySql = $"""
        {Erasing} where room_id = @RoomId and seq = @Seq
        """;

    private static readonly string EraseSentSql = $"""
        {Erasing} where sender_id = @UserId
        """;

    private const string EraseRosterSql = "update entries set user_id = null where user_id = @UserId";

    /// <summary>
    /// Erases the entries of the account, one batch a transaction, so that locks are short. Returns the last checked seq of each room.
    /// </summary>
    public async Task<IReadOnlyDictionary<Guid, long>> EraseContentAsync(Guid userId, CancellationToken cancellationToken)
    {
        var seen = new Dictionary<Guid, long>();
        foreach (var roomId in await database.ReadAsync(
            connection => connection.QueryAsync<Guid>(ContentRoomsSql, new { UserId = userId }, cancellationToken), cancellationToken))
        {
            for (long? next = 0; next is not null;)
            {
                seen[roomId] = next.Value;
                var after = next.Value;
                next = await database.WriteAsync(transaction => EraseBatchAsync(transaction, roomId, userId, after, cancellationToken), cancellationToken);
            }
        }

        return seen;
    }

    /// <summary>
    /// Runs inside the caller's transaction, after <see cref="EraseContentAsync"/>. The caller must call the returned function after the commit, to publish the
    /// change.
    /// </summary>
    public async Task<Func<Task>> EraseAsync(DbTransaction transaction, Guid userId, IReadOnlyDictionary<Guid, long> seen, CancellationToken cancellationToken)
    {
        var deleted = new List<Guid>();
        var appended = new List<(Guid RoomId, LogEntry[] Entries)>();
        foreach (var roomId in await transaction.QueryAsync<Guid>(RoomsSql, new { UserId = userId }, cancellationToken))
        {
            await log.LockRoomAsync(transaction, roomId, cancellationToken);
            var others = await transaction.QueryAsync<OtherRow>(MembersSql, new { RoomId = roomId, UserId = userId }, cancellationToken);
            if (others.Count == 0)
            {
                await RoomStore.DeleteAsync(transaction, roomId, cancellationToken);
                deleted.Add(roomId);
                continue;
            }

            for (long? next = seen.GetValueOrDefault(roomId); next is not null;)
                next = await EraseBatchAsync(transaction, roomId, userId, next.Value, cancellationToken);
            var entries = new List<LogEntry>();
            if (others[0].Role < RoomRole.Owner)
                entries.AddRange(await roster.SetRolesAsync(transaction, roomId, [new MemberRole(others[0].UserId, RoomRole.Owner)], cancellationToken));
            entries.AddRange(await roster.LeaveAsync(transaction, roomId, [userId], isErased: true, cancellationToken));
            appended.Add((roomId, [.. entries]));
        }

        // Also in rooms that the account has left meanwhile.
        await transaction.ExecuteAsync(EraseSentSql, new { UserId = userId }, cancellationToken);
        await transaction.ExecuteAsync(EraseRosterSql, new { UserId = userId }, cancellationToken);
        await RoomStore.EraseFoundingsAsync(transaction, userId, cancellationToken);
        return async () =>
        {
            deleted.ForEach(events.RaiseDeleted);
            foreach (var (roomId, entries) in appended)
                await feed.PublishAsync(roomId, entries);
        };
    }

    /// <summary>Returns the seq to continue after. Null: the end.</summary>
    private async Task<long?> EraseBatchAsync(DbTransaction transaction, Guid roomId, Guid userId, long afterSeq, CancellationToken cancellationToken)
    {
        var rows = await transaction.QueryAsync<ScanRow>(ScanSql, new { RoomId = roomId, AfterSeq = afterSeq, Limit = ScanBatch }, cancellationToken);
        foreach (var own in rows.Where(row => ownerProof.Verify(userId, roomId, row.Id, row.OwnerProof, row.KeyVersion)))
            await transaction.ExecuteAsync(EraseEntrySql, new { RoomId = roomId, own.Seq }, cancellationToken);
        return rows.Count == 0 ? null : rows[^1].Seq;
    }

    private sealed record OtherRow
    {
        public Guid UserId { get; init; }
        public RoomRole Role { get; init; }
    }

    private sealed record ScanRow
    {
        public long Seq { get; init; }
        public Guid Id { get; init; }
        public byte[] OwnerProof { get; init; } = [];
        public int KeyVersion { get; init; }
    }
}
