using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>An event of a room, in the order of the room's log.</summary>
/// <param name="RoomId">The room.</param>
public abstract record RoomEvent(Guid RoomId);

/// <summary>An entry of the room's log.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="Entry">The entry as stored on the server.</param>
public abstract record EntryEvent(Guid RoomId, LogEntry Entry) : RoomEvent(RoomId)
{
    /// <summary>The entry's place in the room's log: contiguous, and the only order.</summary>
    public long Seq => Entry.Seq;
}

/// <summary>A decrypted message. Own messages are returned too; see <see cref="SendReceipt.ClientMessageId"/>.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="Entry">The entry; its <see cref="LogEntry.Id"/> is the sender's client message id.</param>
/// <param name="Envelope">Sender, time and content, as far as the room's cipher verifies them.</param>
public sealed record MessageReceived(Guid RoomId, LogEntry Entry, OpenedEnvelope Envelope) : EntryEvent(RoomId, Entry);

/// <summary>A message that cannot be decrypted: the key is missing or wrong, or the envelope was changed.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="Entry">The entry with its ciphertext.</param>
/// <param name="Reason">The cipher's message, for a developer.</param>
public sealed record Undecryptable(Guid RoomId, LogEntry Entry, string Reason) : EntryEvent(RoomId, Entry);

/// <summary>An entry that is not an application message: roster, roles, settings, redactions, MLS handshakes, and places without content.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="Entry">The entry; its kind is <see cref="LogEntry.Kind"/>.</param>
public sealed record RoomEntry(Guid RoomId, LogEntry Entry) : EntryEvent(RoomId, Entry);

/// <summary>An entry of a kind that this version of the SDK does not know. It keeps its place in the log.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="Entry">The entry; its <see cref="LogEntry.Kind"/> is <see cref="EntryKind.Unknown"/>.</param>
public sealed record UnsupportedEntry(Guid RoomId, LogEntry Entry) : EntryEvent(RoomId, Entry);

/// <summary>Entries that can no longer be read: they have expired, or the caller was not a member while they were written.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="FromSeq">The first of them.</param>
/// <param name="ToSeq">The last of them. The log continues after it.</param>
public sealed record HistoryGap(Guid RoomId, long FromSeq, long ToSeq) : RoomEvent(RoomId);

/// <summary>The caller is no longer in the room, or the room was deleted. No more events of it follow.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="Change"><see cref="RoomChange.Left"/> or <see cref="RoomChange.Deleted"/>.</param>
public sealed record RoomEnded(Guid RoomId, RoomChange Change) : RoomEvent(RoomId);

/// <summary>An ephemeral signal from a member, delivered at most once and unordered.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="Content">Opaque: the SDK does not encrypt signals.</param>
public sealed record RoomSignal(Guid RoomId, byte[] Content);

/// <summary>The server has stored a message.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="ClientMessageId">The id under which it was queued; <see cref="LogEntry.Id"/> of its entry.</param>
/// <param name="Seq">Its place in the room's log.</param>
/// <param name="CreatedAt">To the minute (UTC).</param>
public sealed record SendReceipt(Guid RoomId, Guid ClientMessageId, long Seq, DateTime CreatedAt);

/// <summary>The server rejected a message for good. It is no longer in the outbox and never appears in the room.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="ClientMessageId">The id under which it was queued.</param>
/// <param name="Error">The reason.</param>
public sealed record SendFailure(Guid RoomId, Guid ClientMessageId, SecureMessagingException Error);

/// <summary>The state of the connection to the server.</summary>
public enum ConnectionState
{
    /// <summary><see cref="SecureMessagingClient.Connect"/> was not called yet, or the client is disposed.</summary>
    Disconnected = 0,

    /// <summary>Connecting. Sends wait in the outbox.</summary>
    Connecting,

    /// <summary>Connected.</summary>
    Connected,

    /// <summary>The session is over: logged out, revoked or expired. Only a new sign-in helps.</summary>
    SignedOut,
}

/// <summary>A page of a room's log, decrypted.</summary>
/// <param name="Events">Contiguous, oldest first.</param>
/// <param name="HeadSeq">Seq of the newest entry of the log.</param>
/// <param name="FirstSeq">Seq of the oldest entry that can still be read.</param>
public sealed record HistoryPage(IReadOnlyList<EntryEvent> Events, long HeadSeq, long FirstSeq);
