using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Encryption;

/// <summary>
/// Resets a group whose newest commit its members cannot apply. The server cannot check the content of a commit, so an invalid one can win. An admin, or more
/// than half of the members, can report it and so reset the group. The entry of the reset names the author of the commit, when the server can compute it.
/// </summary>
internal sealed class GroupResetOperations(Database database, LogStore log, CommitThrottles throttles, CommitFeed feed, RateLimits rates)
{
    public async Task<InvalidCommitReport> ReportAsync(
        Caller caller, Guid roomId, ReportInvalidCommitRequest request, CancellationToken cancellationToken)
    {
        var seq = request.Seq;
        Positions.Require("seq", seq, least: 1);
        rates.InvalidCommits.Spend(caller.UserId);
        LogEntry? reset = null;
        var report = await feed.WriteAsync(roomId, () => database.WriteAsync(
            async transaction =>
            {
                reset = null;
                await log.LockRoomAsync(transaction, roomId, cancellationToken);
                var role = await RosterStore.RequireRoleAsync(transaction, roomId, caller.UserId, cancellationToken);
                var group = await GroupRow.RequireAsync(transaction, roomId, cancellationToken);
                // Earlier reports have reset the group already.
                if (seq < group.GroupSeq)
                    return new InvalidCommitReport(Reset: true, group.Generation);
                if (seq != group.CommitSeq)
                    throw new ApiException(ErrorCode.Conflict, "This is not the room's newest commit.");
                var (reports, members, isNew) = await GroupResetStore.ReportAsync(transaction, roomId, seq, caller.UserId, cancellationToken);
                var resets = role >= RoomRole.Admin || reports * 2 > members;
                var author = isNew || resets ? await throttles.NoteAsync(transaction, roomId, seq, reports, resets, cancellationToken) : null;
                if (!resets)
                    return new InvalidCommitReport(Reset: false, group.Generation);

                await GroupResetStore.ResetAsync(transaction, roomId, cancellationToken);
                reset = await log.AppendAsync(
                    transaction, roomId, new(0, EntryKind.GroupReset, default, UserId: author, Generation: group.Generation + 1), cancellationToken);
                await GroupResetStore.NoteResetAsync(transaction, roomId, reset.Seq, cancellationToken);
                await GroupResetStore.ForgetAsync(transaction, roomId, cancellationToken);
                await WelcomeStore.ResetAsync(transaction, roomId, cancellationToken);
                return new InvalidCommitReport(Reset: true, group.Generation + 1);
            },
            cancellationToken));
        if (reset is not null)
            await feed.PublishAsync(roomId, reset);
        return report;
    }
}
