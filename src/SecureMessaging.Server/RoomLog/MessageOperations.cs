using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.RoomLog;

/// <param name="AfterSeq">Only entries after this one.</param>
/// <param name="BeforeSeq">Only entries before this one, the newest of them. Null: reads forwards.</param>
/// <param name="Limit">Entries at most.</param>
internal readonly record struct ReadLogRequest(long AfterSeq, long? BeforeSeq, int Limit);

/// <summary>
/// Reads and redactions of a room's log, the same for all doors. Sends are operations of <see cref="SendQueue"/>. Other reads are one query of
/// <see cref="LogStore"/>, which doors call directly.
/// </summary>
internal sealed class MessageOperations(Database database, LogStore log, LogWindows windows, OwnerProof ownerProof, CommitFeed feed)
{
    /// <summary>A page in either direction.</summary>
    public async Task<LogPage> ReadAsync(Caller caller, Guid roomId, ReadLogRequest request, CancellationToken cancellationToken)
    {
        if (request.BeforeSeq is not { } beforeSeq)
            return await log.SyncAsync(caller, roomId, request.AfterSeq, request.Limit, cancellationToken);
        Positions.Require("afterSeq", request.AfterSeq);
        Positions.Require("beforeSeq", beforeSeq, least: 1);
        LogStore.RequireLimit(request.Limit);
        var range = new LogRange(request.AfterSeq, beforeSeq, request.Limit, Backwards: true);
        var window = (await windows.ReadAsync(caller, [roomId], range, cancellationToken)).GetValueOrDefault(roomId) ?? throw ApiException.NotFound();
        return new LogPage(roomId, [.. window.Entries], window.HeadSeq, window.FirstSeq);
    }

    /// <summary>Redacts an entry that the caller sent. Idempotent.</summary>
    public async Task<SendAck> RetractAsync(Caller caller, Guid roomId, long seq, CancellationToken cancellationToken)
    {
        Positions.Require("seq", seq, least: 1);
        LogEntry? retraction = null;
        var ack = await feed.WriteAsync(roomId, () => database.WriteAsync(
            async transaction =>
            {
                retraction = null;
                await log.LockRoomAsync(transaction, roomId, cancellationToken);
                var target = await LogStore.FindProofAsync(transaction, caller, roomId, seq, cancellationToken) ?? throw ApiException.NotFound();
                if (target.Id is not { } id || target.OwnerProof is null
                    || !ownerProof.Verify(caller.UserId, roomId, id, target.OwnerProof, target.KeyVersion))
                    throw ApiException.Forbidden();
                if (target.Kind is EntryKind.Commit or EntryKind.Proposal)
                    throw new ApiException(ErrorCode.Forbidden, "A handshake cannot be retracted: members need it to follow the group.");
                if (target.Kind == EntryKind.Gone)
                {
                    var first = await LogStore.FindRetractionAsync(transaction, roomId, seq, cancellationToken);
                    return new SendAck(roomId, id, first?.Seq ?? seq, first?.CreatedAt ?? EntryRow.NoTime, Duplicate: true);
                }

                retraction = await log.RedactAsync(transaction, roomId, seq, cancellationToken);
                return new SendAck(roomId, id, retraction.Seq, retraction.CreatedAt, Duplicate: false);
            },
            cancellationToken));
        if (retraction is not null)
            await feed.PublishAsync(roomId, retraction);
        return ack;
    }
}
