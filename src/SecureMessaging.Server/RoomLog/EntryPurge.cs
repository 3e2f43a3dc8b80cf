using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Data;

namespace SecureMessaging.Server.RoomLog;

/// <summary>Purges expired entries in three steps; each leaves the log consistent.</summary>
/// <remarks>
/// 1. Delete the content. The row stays, so seq stays contiguous; the id stays until <see cref="LogStore.ForgetAt"/>.
/// 2. Then delete the id and the owner proof.
/// 3. Delete the rows at the beginning of a log that hold nothing else, and raise <c>first_seq</c>.
/// </remarks>
internal sealed class EntryPurge(Database database, int batchLength)
{
    /// <summary>
    /// One node purges at a time. Each batch takes the lock anew, so a node that resumes after a pause does not assume that it holds the lock.
    /// </summary>
    public const long LockKey = 0x5265_7465_6E74_696F;

    private const string ExpireSql = """
        update entries
        set kind = @Gone, created_at = null, ciphertext = null, sender_id = null, target_seq = null, user_id = null, role = null, settings = null,
            generation = null, epoch = 0, expires_at = case when id is null then null else @ForgetAt end
        where (room_id, seq) in (
            select room_id, seq from entries where expires_at <= @Now and kind <> @Gone order by expires_at limit @Limit)
        returning room_id
        """;

    private const string ForgetSql = """
        update entries set id = null, owner_proof = null, created_at = null, expires_at = null
        where (room_id, seq) in (
            select room_id, seq from entries where expires_at <= @Now and kind = @Gone order by expires_at limit @Limit)
        returning room_id
        """;

    private const string FirstKeptSql = """
        select coalesce(
            (select min(seq) from entries where room_id = @RoomId and (kind <> @Gone or expires_at is not null)),
            (select last_seq + 1 from rooms where id = @RoomId))
        """;

    private const string CutSql = """
        delete from entries where room_id = @RoomId and seq in (
            select seq from entries where room_id = @RoomId and seq < @FirstKept order by seq limit @Limit)
        """;

    private const string MoveFloorSql = "update rooms set first_seq = @FirstKept where id = @RoomId and first_seq < @FirstKept";

    public async Task<(int Expired, int Cut)> RunAsync(DateTime now, CancellationToken cancellationToken)
    {
        var parameters = new { Now = now, ForgetAt = LogStore.ForgetAt(now), Gone = (int)EntryKind.Gone, Limit = batchLength };
        var rooms = new HashSet<Guid>();
        var expired = await RepeatAsync(transaction => TouchAsync(transaction, ExpireSql), cancellationToken);
        await RepeatAsync(transaction => TouchAsync(transaction, ForgetSql), cancellationToken);
        var cut = 0;
        foreach (var roomId in rooms)
            cut += await CutAsync(roomId, cancellationToken);
        return (expired, cut);

        async Task<int> TouchAsync(DbTransaction transaction, string sql)
        {
            var touched = await transaction.QueryAsync<Guid>(sql, parameters, cancellationToken);
            rooms.UnionWith(touched);
            return touched.Count;
        }
    }

    private async Task<int> CutAsync(Guid roomId, CancellationToken cancellationToken) => await RepeatAsync(
        async transaction =>
        {
            var firstKept = await transaction.QuerySingleAsync<long?>(FirstKeptSql, new { RoomId = roomId, Gone = (int)EntryKind.Gone }, cancellationToken);
            if (firstKept is null)
                return 0;
            var parameters = new { RoomId = roomId, FirstKept = firstKept.Value, Limit = batchLength };
            // Raised first, so that no reader sees a hole.
            await transaction.ExecuteAsync(MoveFloorSql, parameters, cancellationToken);
            return await transaction.ExecuteAsync(CutSql, parameters, cancellationToken);
        },
        cancellationToken);

    /// <summary>Repeats a batch until one is not full. Each batch is one transaction under the lock.</summary>
    private async Task<int> RepeatAsync(Func<DbTransaction, Task<int>> batch, CancellationToken cancellationToken)
    {
        for (var total = 0; ;)
        {
            var count = await database.WriteAsync(
                async transaction => await database.TryLockAsync(transaction, LockKey, cancellationToken) ? await batch(transaction) : 0, cancellationToken);
            total += count;
            if (count < batchLength)
                return total;
        }
    }
}
