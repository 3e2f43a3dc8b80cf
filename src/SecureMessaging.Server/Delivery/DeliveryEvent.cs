using SecureMessaging.Protocol;
using SecureMessaging.Server.Encryption;

namespace SecureMessaging.Server.Delivery;

/// <summary>An event that the server sends to many connections, independent of their protocol.</summary>
internal abstract class DeliveryEvent
{
    private object? encoded;

    /// <summary>The event as a door sends it, encoded once for all connections. Only one door may call this.</summary>
    public T EncodeOnce<T>(Func<DeliveryEvent, T> encode)
        where T : class => (T)(Volatile.Read(ref encoded) ?? Interlocked.CompareExchange(ref encoded, encode(this), null) ?? encoded);
}

/// <summary>Entries of one room, contiguous and oldest first.</summary>
internal sealed class EntryRun(Guid roomId, LogEntry[] entries, int bytes) : DeliveryEvent
{
    public Guid RoomId { get; } = roomId;

    public LogEntry[] Entries { get; } = entries;

    public int Bytes { get; } = bytes;
}

/// <summary>A member's signal to a room. Ephemeral: delivered at most once.</summary>
internal sealed class SignalSent(Guid roomId, byte[] signal) : DeliveryEvent
{
    public Guid RoomId { get; } = roomId;

    public byte[] Signal { get; } = signal;
}

/// <summary>Work that waits for a device of the connection's user. Ephemeral: delivered at most once.</summary>
internal sealed class DeviceHinted(DeviceHint hint) : DeliveryEvent
{
    public DeviceHint Hint { get; } = hint;
}

/// <summary>The session of the connection ended.</summary>
internal sealed class SessionEnded(SessionEndReason reason) : DeliveryEvent
{
    public SessionEndReason Reason { get; } = reason;
}
