using System.Runtime.Serialization;

namespace SecureMessaging.Protocol;

/// <summary>Why the set of the receiver's rooms changed.</summary>
public enum RoomChange
{
    /// <summary>A change of a later version. List the rooms again. Readers only: the server rejects requests that contain it.</summary>
    [EnumMember(Value = "unknown")] Unknown = -1,

    /// <summary>
    /// The receiver is now a member. The server pushes the entries from the joining on. When this node learned of it late, earlier entries are missing:
    /// read them by <see cref="IChatHub.Sync"/>.
    /// </summary>
    [EnumMember(Value = "joined")] Joined = 0,

    /// <summary>The receiver is no longer a member.</summary>
    [EnumMember(Value = "left")] Left = 1,

    /// <summary>The room was deleted.</summary>
    [EnumMember(Value = "deleted")] Deleted = 2,
}

/// <summary>Why the server ends a session's connection.</summary>
public enum SessionEndReason
{
    /// <summary>A reason of a later version. The session is over. Readers only: the server rejects requests that contain it.</summary>
    [EnumMember(Value = "unknown")] Unknown = -1,

    /// <summary>The user ended the session, here or from another one.</summary>
    [EnumMember(Value = "loggedOut")] LoggedOut = 0,

    /// <summary>The account was erased or disabled.</summary>
    [EnumMember(Value = "accountClosed")] AccountClosed = 1,
}

/// <summary>What the hub at <c>/hubs/chat</c> calls on its clients.</summary>
public interface IChatClient
{
    /// <summary>
    /// Entries of one room, in order, contiguous with the earlier ones of this connection unless a <see cref="Resync"/> came between. The first of them
    /// follows at the latest on the head that the connection's first <see cref="IChatHub.Heads"/> returned. Read earlier entries by
    /// <see cref="IChatHub.Sync"/>.
    /// </summary>
    Task Received(Guid roomId, LogEntry[] entries);

    /// <summary>An ephemeral signal of a member: not stored, delivered at most once.</summary>
    Task Signaled(Guid roomId, byte[] signal);

    /// <summary>The set of the receiver's rooms changed.</summary>
    Task RoomChanged(Guid roomId, RoomChange change);

    /// <summary>The connection was too slow, and entries were omitted: call <c>Sync</c> from the cursor.</summary>
    Task Resync(Guid roomId);

    /// <summary>A device of the receiver has few KeyPackages left, or the one of last resort was used: upload more. Sent at most once.</summary>
    Task KeyPackagesLow(Guid deviceId, int available);

    /// <summary>A device of the receiver has Welcomes to read. Sent at most once, so check after each connect too.</summary>
    Task WelcomesWaiting(Guid deviceId);

    /// <summary>The session is over; the connection closes. Do not reconnect with its tokens.</summary>
    Task SessionEnded(SessionEndReason reason);

    /// <summary>The node will stop: connect again, to any node, after this many milliseconds.</summary>
    Task Draining(int reconnectAfterMs);
}

/// <summary>What clients call on the hub at <c>/hubs/chat</c>. An error is a HubException whose message contains an <see cref="ErrorBody"/> as JSON.</summary>
public interface IChatHub
{
    /// <summary>Stores one envelope. Returns when it is durable.</summary>
    Task<SendAck> Send(SendRequest request);

    /// <summary>
    /// Stores up to <see cref="Limits.BatchSends"/> envelopes in order. Each one succeeds or fails by itself. But after a retryable failure all
    /// later ones of the same room fail in the same way, so that a retry keeps their order.
    /// </summary>
    Task<SendResult[]> SendBatch(SendRequest[] requests);

    /// <summary>Redacts an entry that the caller sent. Idempotent.</summary>
    Task<SendAck> Retract(Guid roomId, long seq);

    /// <summary>
    /// Reads up to <paramref name="limit"/> entries after <paramref name="afterSeq"/>, oldest first. A user who has left, or was removed, can read on from a
    /// place of that membership. <see cref="LogPage.HeadSeq"/> is then the entry of the own leaving, and nothing after it can be read.
    /// </summary>
    Task<LogPage> Sync(Guid roomId, long afterSeq, int limit);

    /// <summary>The head of the log of each room of the caller.</summary>
    Task<RoomHead[]> Heads();

    /// <summary>Sends opaque bytes to the members who are connected now. At most once.</summary>
    Task Signal(Guid roomId, byte[] signal);

    /// <summary>Moves the caller's delivery cursor forward.</summary>
    Task MarkDelivered(Guid roomId, long seq);
}
