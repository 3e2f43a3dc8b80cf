using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Devices;

namespace SecureMessaging.Server.Chat;

/// <summary>Entries of one room that stand one after the other, as all of the room's connections get them.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="Entries">Contiguous, oldest first.</param>
/// <param name="Message">The same as a call on hub clients, serialised once for each protocol and only when a hub connection takes it.</param>
/// <param name="Bytes">What it weighs, roughly.</param>
internal sealed record EntryRun(Guid RoomId, LogEntry[] Entries, SerializedHubMessage Message, int Bytes);

/// <summary>Something that is part of no log, sent at most once.</summary>
/// <param name="Message">The call on hub clients.</param>
internal record Ephemeral(SerializedHubMessage Message);

/// <summary>A member's signal to a room.</summary>
internal sealed record SignalEphemeral(Guid RoomId, byte[] Signal, SerializedHubMessage Message) : Ephemeral(Message);

/// <summary>What a device of the connection's user should look after.</summary>
internal sealed record NudgeEphemeral(DeviceNudge Nudge, SerializedHubMessage Message) : Ephemeral(Message);

/// <summary>
/// One client's connection as the tails see it, whatever it speaks: a hub connection, or a GraphQL socket. Nothing here waits for the client; what a slow one
/// has not taken is bounded.
/// </summary>
internal abstract class ChatConnection(Guid userId, Guid sessionId)
{
    private readonly Lock roomsGate = new();
    private readonly List<Guid> rooms = [];
    private bool settled;
    private bool closed;

    public Guid UserId { get; } = userId;

    public Guid SessionId { get; } = sessionId;

    public abstract void Abort();

    /// <summary>Says why, where the client can hear it, and closes, without waiting for a reader that may not read.</summary>
    public abstract void End(SerializedHubMessage farewell);

    /// <summary>Asks the client to connect again, to any node, after this time.</summary>
    public abstract void Drain(TimeSpan after);

    /// <summary>Sends entries of a room. Past the bound they are left out, and the log makes up for them.</summary>
    public abstract void SendEntries(EntryRun run);

    /// <summary>Sends a change of the set of rooms.</summary>
    public abstract void SendRoomChanged(Guid roomId, RoomChange change);

    /// <summary>Sends what is not part of a log. A reader that is too slow misses it.</summary>
    public abstract void SendEphemeral(Ephemeral ephemeral);

    /// <summary>Notes that a tail delivers to this connection; false when it is closed already.</summary>
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

    /// <summary>Notes that the connection is subscribed to all rooms that its user had at connect.</summary>
    public void Settle()
    {
        lock (roomsGate)
            settled = true;
    }

    /// <summary>
    /// Whether a tail should deliver this room to the connection and does not. Not while it is being let in, when it would be given the whole log since its
    /// user joined, and not when it is closed.
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

    /// <summary>Returns the rooms whose tails still deliver to the connection.</summary>
    public Guid[] Close()
    {
        lock (roomsGate)
        {
            closed = true;
            return [.. rooms];
        }
    }
}
