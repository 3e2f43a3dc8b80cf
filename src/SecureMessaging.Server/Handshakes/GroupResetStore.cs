using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Handshakes;

/// <summary>
/// The way out of a group whose newest commit its members cannot apply: a server that cannot look into a commit has let it win. Enough members say so, and the
/// group begins anew.
/// </summary>
internal sealed class GroupResetStore(Database database, LogStore log, CommitFeed feed)
{
    private const string ReportSql = "insert into commit_reports (room_id, seq, user_id) values (@RoomId, @Seq, @UserId) on conflict do nothing";

    // Of those who are members still.
    private const string CountSql = """
        select
            (select count(*) from commit_reports c join room_members m on m.room_id = c.room_id and m.user_id = c.user_id where c.room_id = @RoomId and c.seq = @Seq) as reports,
            (select count(*) from room_members where room_id = @RoomId) as members
        """;

    private const string ResetSql = "update rooms set generation = generation + 1, epoch = 0, commit_seq = 0 where id = @RoomId";

    private const string NoteResetSql = "update rooms set group_seq = @Seq where id = @RoomId";

    public async Task<InvalidCommitReport> ReportAsync(Caller caller, Guid roomId, long seq, CancellationToken cancellationToken)
    {
        Positions.Require("seq", seq, least: 1);
        LogEntry? reset = null;
        var report = await feed.WriteAsync(roomId, () => database.WriteAsync(
            async transaction =>
            {
                reset = null;
                await log.LockRoomAsync(transaction, roomId, cancellationToken);
                var role = await RosterStore.RequireRoleAsync(transaction, roomId, caller.UserId, cancellationToken);
                var group = await GroupRow.RequireAsync(transaction, roomId, cancellationToken);
                // Others have said so before.
                if (seq < group.GroupSeq)
                    return new InvalidCommitReport(Reset: true, group.Generation);
                if (seq != group.CommitSeq)
                    throw new ApiException(ErrorCode.Conflict, "This is not the room's newest commit.");
                await transaction.ExecuteAsync(ReportSql, new { RoomId = roomId, Seq = seq, caller.UserId }, cancellationToken);
                var count = await transaction.QuerySingleAsync<CountRow>(CountSql, new { RoomId = roomId, Seq = seq }, cancellationToken);
                if (role < RoomRole.Admin && count!.Reports * 2 <= count.Members)
                    return new InvalidCommitReport(Reset: false, group.Generation);

                await transaction.ExecuteAsync(ResetSql, new { RoomId = roomId }, cancellationToken);
                reset = await log.AppendAsync(transaction, roomId, new(0, EntryKind.GroupReset, default, Generation: group.Generation + 1), cancellationToken);
                await transaction.ExecuteAsync(NoteResetSql, new { RoomId = roomId, reset.Seq }, cancellationToken);
                await ForgetAsync(transaction, roomId, cancellationToken);
                await WelcomeStore.ResetAsync(transaction, roomId, cancellationToken);
                return new InvalidCommitReport(Reset: true, group.Generation + 1);
            },
            cancellationToken));
        if (reset is not null)
            await feed.PublishAsync(roomId, reset);
        return report;
    }

    /// <summary>Reports are about the newest commit alone.</summary>
    public static Task ForgetAsync(DbTransaction transaction, Guid roomId, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync("delete from commit_reports where room_id = @RoomId", new { RoomId = roomId }, cancellationToken);

    private sealed record CountRow
    {
        public long Reports { get; init; }
        public long Members { get; init; }
    }
}
