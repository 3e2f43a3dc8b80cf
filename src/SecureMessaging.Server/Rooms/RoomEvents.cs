using System.Data.Common;

namespace SecureMessaging.Server.Rooms;

/// <summary>Deletes another feature's data of members that leave a room. Runs under the room's lock, in the transaction of the leaving.</summary>
internal delegate Task MembersLeaving(DbTransaction transaction, Guid roomId, IReadOnlyList<Guid> userIds, CancellationToken cancellationToken);

/// <summary>Reports the deletion of a room to room delivery. Every other change of a room is an entry of its log.</summary>
internal sealed class RoomEvents
{
    public event Action<Guid>? Deleted;

    public void RaiseDeleted(Guid roomId) => Deleted?.Invoke(roomId);
}
