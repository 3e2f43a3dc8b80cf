using System.Runtime.Serialization;

namespace SecureMessaging.Protocol;

/// <summary>What an entry of a room's log is.</summary>
public enum EntryKind
{
    /// <summary>
    /// A kind of a later version. The entry keeps its place in the log. Show it as not supported. Readers only: the server rejects requests that contain it.
    /// </summary>
    [EnumMember(Value = "unknown")] Unknown = -1,

    /// <summary>An application envelope: <see cref="LogEntry.Ciphertext"/>.</summary>
    [EnumMember(Value = "message")] Message = 0,

    /// <summary>An MLS Proposal (RFC 9420 section 12.1).</summary>
    [EnumMember(Value = "proposal")] Proposal = 1,

    /// <summary>An MLS Commit (RFC 9420 section 12.4).</summary>
    [EnumMember(Value = "commit")] Commit = 2,

    /// <summary>The sender redacted <see cref="LogEntry.TargetSeq"/>.</summary>
    [EnumMember(Value = "retraction")] Retraction = 3,

    /// <summary><see cref="LogEntry.UserId"/> joined with <see cref="LogEntry.Role"/>.</summary>
    [EnumMember(Value = "memberJoined")] MemberJoined = 4,

    /// <summary><see cref="LogEntry.UserId"/> left or was removed. Null: the account was erased; read the members again.</summary>
    [EnumMember(Value = "memberLeft")] MemberLeft = 5,

    /// <summary><see cref="LogEntry.UserId"/> has <see cref="LogEntry.Role"/> from here on.</summary>
    [EnumMember(Value = "roleChanged")] RoleChanged = 6,

    /// <summary>The room has <see cref="LogEntry.Settings"/> from here on.</summary>
    [EnumMember(Value = "settingsChanged")] SettingsChanged = 7,

    /// <summary>An entry whose content was redacted, has expired or was erased. Only its place remains, so that seq stays contiguous.</summary>
    [EnumMember(Value = "gone")] Gone = 8,

    /// <summary>
    /// The devices of <see cref="LogEntry.UserId"/> changed: one was approved, rotated or revoked. Read them, and commit the changes to the MLS group.
    /// </summary>
    [EnumMember(Value = "devicesChanged")] DevicesChanged = 9,

    /// <summary>
    /// The MLS group was reset. <see cref="LogEntry.Generation"/> starts at epoch 0. <see cref="LogEntry.UserId"/>, if set, sent the commit that members
    /// reported: the server's word, to be shown as such. Do not remove a member by it.
    /// </summary>
    [EnumMember(Value = "groupReset")] GroupReset = 10,
}

/// <summary>One application envelope to store.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="ClientMessageId">
/// A random id of the send (RFC 9562 version 4). It becomes <see cref="LogEntry.Id"/>. The same id with the same bytes returns the first ack;
/// with other bytes it is <see cref="ErrorCode.Conflict"/>. Retries are idempotent.
/// </param>
/// <param name="Ciphertext">1 to <see cref="Limits.CiphertextBytes"/> bytes, opaque to the server.</param>
/// <param name="TimeToLiveSeconds">Seconds until the server purges the content. The room's default applies when it is shorter, or when this is null.</param>
/// <param name="Epoch">
/// The MLS epoch of the encryption, at most three behind the room's; 0 in rooms of other schemes. In a room of <see cref="Schemes.Mls10"/> the
/// ciphertext is an MLSMessage (RFC 9420 section 6) with a PrivateMessage of content type application, with the same group id and epoch.
/// </param>
public sealed record SendRequest(Guid RoomId, Guid ClientMessageId, byte[] Ciphertext, int? TimeToLiveSeconds = null, long Epoch = 0);

/// <summary>The entry is durable.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="ClientMessageId">The id of the send.</param>
/// <param name="Seq">Its place in the room's log.</param>
/// <param name="CreatedAt">To the minute (UTC). 1970-01-01 if the entry is already gone.</param>
/// <param name="Duplicate">Whether an earlier attempt had stored it already.</param>
public sealed record SendAck(Guid RoomId, Guid ClientMessageId, long Seq, DateTime CreatedAt, bool Duplicate);

/// <summary>One result of <c>SendBatch</c>: an ack or an error, in the order of the requests.</summary>
/// <param name="Ack">Set when it was stored.</param>
/// <param name="Error">Set when it was not.</param>
public sealed record SendResult(SendAck? Ack, ErrorBody? Error);

/// <summary>One entry of a room's log. Which fields are set follows from <see cref="Kind"/>.</summary>
/// <param name="Seq">Contiguous from 1 in each room. The only order.</param>
/// <param name="Kind">The kind of the entry.</param>
/// <param name="CreatedAt">To the minute (UTC), and 1970-01-01 for an entry that is gone. Never order by it.</param>
/// <param name="Id">The sender's <see cref="SendRequest.ClientMessageId"/>.</param>
/// <param name="Ciphertext">The envelope.</param>
/// <param name="Epoch">MLS epoch.</param>
/// <param name="SenderId">In visible rooms: who sent it.</param>
/// <param name="TargetSeq">Of a redaction: the redacted entry.</param>
/// <param name="UserId">Of a roster change: the account. Of a reset: who sent the reported commit, by the server's word.</param>
/// <param name="Role">Of a roster change: the role from here on.</param>
/// <param name="Settings">Of a change of settings: the settings from here on.</param>
/// <param name="ExpiresAt">When the server purges the content (UTC).</param>
/// <param name="Generation">Of a reset: the generation of the MLS group from here on.</param>
public sealed record LogEntry(
    long Seq, EntryKind Kind, DateTime CreatedAt, Guid? Id = null, byte[]? Ciphertext = null, long Epoch = 0, Guid? SenderId = null,
    long? TargetSeq = null, Guid? UserId = null, RoomRole? Role = null, RoomSettings? Settings = null, DateTime? ExpiresAt = null, int? Generation = null);

/// <summary>A page of a room's log.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="Entries">Contiguous, oldest first.</param>
/// <param name="HeadSeq">Seq of the newest entry of the log.</param>
/// <param name="FirstSeq">
/// Seq of the oldest entry that the caller can read. When it is greater than the requested cursor plus one, the entries between
/// have expired or are from before the caller joined, and cannot be read.
/// </param>
public sealed record LogPage(Guid RoomId, LogEntry[] Entries, long HeadSeq, long FirstSeq);
