namespace SecureMessaging.Server.Rooms;

/// <summary>Tells whoever delivers a room's log that the room is no more. Everything else about rooms is in their logs.</summary>
internal sealed class RoomEvents
{
    public event Action<Guid>? Deleted;

    public void RaiseDeleted(Guid roomId) => Deleted?.Invoke(roomId);
}
