using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Encryption;

/// <summary>Writes each handshake once into the log of its room, and publishes it.</summary>
internal sealed class HandshakeLog(Database database, LogStore log, OwnerProof ownerProof, CommitFeed feed)
{
    /// <remarks>
    /// 1. Lock the room. The caller must be a member.
    /// 2. A retry of the same handshake returns the first ack.
    /// 3. Append the handshake with its effects. The caller passes this step, which returns the new entries in the order of the log.
    /// 4. After the commit of the transaction, publish them as one contiguous run.
    /// A failure rolls back all steps.
    /// </remarks>
    public async Task<SendAck> WriteAsync(
        Caller caller, Handshake handshake, Func<DbTransaction, RoomRole, GroupRow, Task<List<LogEntry>>> append, CancellationToken cancellationToken)
    {
        var roomId = handshake.RoomId;
        List<LogEntry> entries = [];
        var ack = await feed.WriteAsync(roomId, () => database.WriteAsync(
            async transaction =>
            {
                entries = [];
                await log.LockRoomAsync(transaction, roomId, cancellationToken);
                var own = await RosterStore.RequireRoleAsync(transaction, roomId, caller.UserId, cancellationToken);
                if (await HandshakeStore.FindEarlierAsync(transaction, caller.UserId, handshake, ownerProof, cancellationToken) is { } earlier)
                    return new SendAck(roomId, handshake.Id, earlier.Seq, earlier.CreatedAt ?? EntryRow.NoTime, Duplicate: true);
                var group = await GroupRow.RequireAsync(transaction, roomId, cancellationToken);
                entries = await append(transaction, own, group);
                var entry = entries.Find(entry => entry.Id == handshake.Id)!;
                return new SendAck(roomId, handshake.Id, entry.Seq, entry.CreatedAt, Duplicate: false);
            },
            cancellationToken));
        // The entry of a retry may not have been published.
        if (ack.Duplicate)
            feed.MarkStale(roomId);
        await feed.PublishAsync(roomId, [.. entries]);
        return ack;
    }

    /// <summary>Appends the entry of the handshake itself.</summary>
    public Task<LogEntry> AppendAsync(DbTransaction transaction, Caller caller, Handshake handshake, GroupRow group, CancellationToken cancellationToken) =>
        log.AppendAsync(
            transaction, handshake.RoomId,
            new(0, handshake.Kind, default, handshake.Id, handshake.Message, handshake.Epoch, group.Visible ? caller.UserId : null), cancellationToken,
            ownerProof.Compute(caller.UserId, handshake.RoomId, handshake.Id));
}
