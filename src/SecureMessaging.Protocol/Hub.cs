using System.Runtime.Serialization;

namespace SecureMessaging.Protocol;

/// <summary>Why a room changed for the receiver beyond what its log says.</summary>
public enum RoomChange
{
    /// <summary>A change of a later version. Ask which rooms there are. Only readers know it: a request that carries it is refused.</summary>
    [EnumMember(Value = "unknown")] Unknown = -1,

    /// <summary>
    /// The receiver is a member from now on. Entries from its joining on are pushed unless that stood in the log for a while before this node heard of it:
    /// what is missing before the first that comes is for <see cref="IChatHub.Sync"/>.
    /// </summary>
    [EnumMember(Value = "joined")] Joined = 0,

    /// <summary>The receiver is no longer a member.</summary>
    [EnumMember(Value = "left")] Left = 1,

    /// <summary>The room is no more.</summary>
    [EnumMember(Value = "deleted")] Deleted = 2,
}

/// <summary>Why the server ends a session's connection.</summary>
public enum SessionEndReason
{
    /// <summary>A reason of a later version. The session is over all the same. Only readers know it: a request that carries it is refused.</summary>
    [EnumMember(Value = "unknown")] Unknown = -1,

    /// <summary>The session was ended by its user: logout, here or from elsewhere.</summary>
    [EnumMember(Value = "loggedOut")] LoggedOut = 0,

    /// <summary>The account was erased or disabled.</summary>
    [EnumMember(Value = "accountClosed")] AccountClosed = 1,
}

/// <summary>What the hub at <c>/hubs/chat</c> calls on its clients.</summary>
public interface IChatClient
{
    /// <summary>
    /// Entries of one room, in order; contiguous with the last ones received on this connection unless a <see cref="Resync"/> came between. They begin
    /// no later than after the head that the connection's first <see cref="IChatHub.Heads"/> returns: what is before is for <see cref="IChatHub.Sync"/>.
    /// </summary>
    Task Received(Guid roomId, LogEntry[] entries);

    /// <summary>An ephemeral signal from a member, stored nowhere, delivered at most once.</summary>
    Task Signaled(Guid roomId, byte[] signal);

    /// <summary>The set of the receiver's rooms changed.</summary>
    Task RoomChanged(Guid roomId, RoomChange change);

    /// <summary>The connection was too slow and entries were left out: <c>Sync</c> from the cursor.</summary>
    Task Resync(Guid roomId);

    /// <summary>A device of the receiver has few KeyPackages left (or none, or its one of last resort was used): upload more. At most once.</summary>
    Task KeyPackagesLow(Guid deviceId, int available);

    /// <summary>A device of the receiver has Welcomes to fetch. At most once; look after connecting, too.</summary>
    Task WelcomesWaiting(Guid deviceId);

    /// <summary>The session is over; the connection closes. Do not reconnect with its tokens.</summary>
    Task SessionEnded(SessionEndReason reason);

    /// <summary>The node is about to stop: connect again, to any node, after this many milliseconds.</summary>
    Task Draining(int reconnectAfterMs);
}

/// <summary>What clients call on the hub at <c>/hubs/chat</c>. Errors are a HubException whose message holds an <see cref="ErrorBody"/> as JSON.</summary>
public interface IChatHub
{
    /// <summary>Stores one envelope. Returns once it is durable.</summary>
    Task<SendAck> Send(SendRequest request);

    /// <summary>
    /// Stores up to <see cref="Limits.BatchSends"/> envelopes in order. Each succeeds or fails alone, but after one that failed and may be repeated
    /// every later one of the same room fails so too: repeating them keeps their order.
    /// </summary>
    Task<SendResult[]> SendBatch(SendRequest[] requests);

    /// <summary>Takes back an entry that the caller sent. Idempotent.</summary>
    Task<SendAck> Retract(Guid roomId, long seq);

    /// <summary>Reads up to <paramref name="limit"/> entries after <paramref name="afterSeq"/>, oldest first.</summary>
    Task<LogPage> Sync(Guid roomId, long afterSeq, int limit);

    /// <summary>Where the log of each of the caller's rooms stands.</summary>
    Task<RoomHead[]> Heads();

    /// <summary>Sends opaque bytes to the members who are connected now.</summary>
    Task Signal(Guid roomId, byte[] signal);

    /// <summary>Moves the caller's delivery cursor forward.</summary>
    Task MarkDelivered(Guid roomId, long seq);
}
