using SecureMessaging.Protocol;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Delivery;

/// <summary>
/// One client's connection, independent of its protocol (hub or GraphQL socket). No method waits for the client, and what a slow client has not read
/// is bounded.
/// </summary>
internal abstract class Subscriber(Guid userId, Guid sessionId)
{
    private readonly Lock roomsGate = new();
    private readonly List<Guid> rooms = [];
    private bool settled;
    private bool closed;

    public Guid UserId { get; } = userId;

    public Guid SessionId { get; } = sessionId;

    public abstract void Abort();

    /// <summary>Sends the reason if the protocol has a place for it, and closes without waiting for the client to read.</summary>
    public abstract void End(SessionEnded ended);

    public abstract void Drain(TimeSpan after);

    /// <summary>Sends entries of a room. Beyond the connection's bound they are dropped, and the client reads the log.</summary>
    /// <param name="run">The entries.</param>
    /// <param name="writes">The batch that the write may wait for. Null: it must not wait.</param>
    public abstract void SendEntries(EntryRun run, WriteBatch? writes);

    /// <summary>Tells the client that its set of rooms has changed.</summary>
    /// <param name="roomId">The room.</param>
    /// <param name="change">The change.</param>
    /// <param name="seq">Joined: the first entry that this subscriber gets; earlier ones of its membership are in the log. Left: the last entry.</param>
    /// <param name="writes">See <see cref="SendEntries"/>.</param>
    public abstract void SendRoomChanged(Guid roomId, RoomChange change, long seq, WriteBatch? writes);

    /// <summary>Sends an event that is not part of a log. A client that reads too slowly misses it.</summary>
    public abstract void SendEphemeral(DeliveryEvent ephemeral);

    public bool TryEnter(Guid roomId)
    {
        lock (roomsGate)
        {
            if (closed)
                return false;
            rooms.Add(roomId);
            return true;
        }
    }

    public void Settle()
    {
        lock (roomsGate)
            settled = true;
    }

    /// <summary>
    /// Whether the room should be delivered to this connection and is not. False until <see cref="Settle"/>, when a subscription would deliver the
    /// whole log since the user joined, and false after <see cref="Close"/>.
    /// </summary>
    public bool Lacks(Guid roomId)
    {
        lock (roomsGate)
            return settled && !closed && !rooms.Contains(roomId);
    }

    public void Leave(Guid roomId)
    {
        lock (roomsGate)
            rooms.Remove(roomId);
    }

    public Guid[] Close()
    {
        lock (roomsGate)
        {
            closed = true;
            return [.. rooms];
        }
    }
}
