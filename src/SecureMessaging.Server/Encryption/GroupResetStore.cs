using System.Data.Common;
using SecureMessaging.Server.Platform.Data;

namespace SecureMessaging.Server.Encryption;

/// <summary>Reports of commits that members cannot apply, and the reset of a group.</summary>
internal static class GroupResetStore
{
    private const string ForgetSql = "delete from commit_reports where room_id = @RoomId";

    private const string ReportSql = "insert into commit_reports (room_id, seq, user_id) values (@RoomId, @Seq, @UserId) on conflict do nothing";

    // Only reports of current members count.
    private const string CountSql = """
        select
            (select count(*) from commit_reports c join room_members m on m.room_id = c.room_id and m.user_id = c.user_id
                where c.room_id = @RoomId and c.seq = @Seq) as reports,
            (select count(*) from room_members where room_id = @RoomId) as members
        """;

    private const string ResetSql = "update rooms set generation = generation + 1, epoch = 0, commit_seq = 0 where id = @RoomId";

    private const string NoteResetSql = "update rooms set group_seq = @Seq where id = @RoomId";

    /// <summary>Stores the report, once for each member, and counts all reports of the commit.</summary>
    public static async Task<(long Reports, long Members, bool IsNew)> ReportAsync(
        DbTransaction transaction, Guid roomId, long seq, Guid userId, CancellationToken cancellationToken)
    {
        var added = await transaction.ExecuteAsync(ReportSql, new { RoomId = roomId, Seq = seq, UserId = userId }, cancellationToken);
        var count = await transaction.QuerySingleAsync<CountRow>(CountSql, new { RoomId = roomId, Seq = seq }, cancellationToken);
        return (count!.Reports, count.Members, added == 1);
    }

    /// <summary>Starts the next generation at epoch 0.</summary>
    public static Task ResetAsync(DbTransaction transaction, Guid roomId, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(ResetSql, new { RoomId = roomId }, cancellationToken);

    public static Task NoteResetAsync(DbTransaction transaction, Guid roomId, long seq, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(NoteResetSql, new { RoomId = roomId, Seq = seq }, cancellationToken);

    /// <summary>Deletes the reports of a room. They concern only its newest commit.</summary>
    public static Task ForgetAsync(DbTransaction transaction, Guid roomId, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(ForgetSql, new { RoomId = roomId }, cancellationToken);

    private sealed record CountRow
    {
        public long Reports { get; init; }
        public long Members { get; init; }
    }
}
