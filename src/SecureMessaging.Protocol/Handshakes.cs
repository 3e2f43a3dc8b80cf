namespace SecureMessaging.Protocol;

/// <summary>
/// <c>POST /v1/rooms/{id}/commits</c>: ends an epoch of the room's MLS group (RFC 9420 section 12.4). Exactly one wins in each epoch; the others get
/// <see cref="ErrorCode.WrongEpoch"/>, and nothing of theirs takes effect.
/// </summary>
/// <remarks>
/// The group's id is the room's id (RFC 9562 byte order) followed by the room's generation as four bytes, big-endian. Any member may found the group of a new
/// generation with a commit of epoch 0; application messages are accepted from epoch 1 on. In the log the entry's epoch is the one that the commit ended.
/// </remarks>
/// <param name="Id">Names the commit, random (version 4). The same id with the same bytes returns the first answer.</param>
/// <param name="Epoch">The epoch it ends.</param>
/// <param name="Commit">MLSMessage holding a PrivateMessage of content type commit, up to <see cref="Limits.HandshakeBytes"/>.</param>
/// <param name="Welcomes">MLSMessages holding a Welcome, each for devices of members (after <paramref name="Roster"/>), found by KeyPackage reference.</param>
/// <param name="Roster">The roster change that goes with it.</param>
public sealed record CommitRequest(Guid Id, long Epoch, byte[] Commit, byte[][]? Welcomes = null, RosterChange? Roster = null);

/// <summary>
/// Who comes and goes with a commit, by the rules of <c>rooms/{id}/members</c>; never the caller. In the log those who leave stand before it, those who join after it.
/// Who is in, or out, already stays so.
/// </summary>
/// <param name="Add">Who joins.</param>
/// <param name="Remove">Accounts that leave.</param>
public sealed record RosterChange(AddMemberRequest[]? Add = null, Guid[]? Remove = null);

/// <summary>The commit won its epoch.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="Id">The commit.</param>
/// <param name="Seq">Its place in the room's log.</param>
/// <param name="Epoch">The epoch that it began.</param>
/// <param name="Duplicate">Whether an earlier attempt had stored it already.</param>
public sealed record CommitAck(Guid RoomId, Guid Id, long Seq, long Epoch, bool Duplicate);

/// <summary><c>POST /v1/rooms/{id}/proposals</c>: an MLS Proposal (RFC 9420 section 12.1), valid in the current epoch alone. Replies with a <see cref="SendAck"/>.</summary>
/// <param name="Id">Names the proposal, as in <see cref="CommitRequest"/>.</param>
/// <param name="Epoch">The current epoch.</param>
/// <param name="Proposal">MLSMessage holding a PrivateMessage of content type proposal.</param>
public sealed record ProposalRequest(Guid Id, long Epoch, byte[] Proposal);

/// <summary>
/// A Welcome that waits for a device: <c>GET /v1/devices/{id}/welcomes</c>, by the device itself, oldest first, as much as fits into a page: ask until there is none.
/// <c>DELETE …/welcomes/{roomId}/{seq}</c> (204) when it is stored.
/// </summary>
/// <param name="RoomId">The room.</param>
/// <param name="Generation">The group's generation.</param>
/// <param name="Seq">The commit's place in the log: what follows it is for the device.</param>
/// <param name="Message">MLSMessage holding the Welcome (RFC 9420 section 12.4.3.1).</param>
public sealed record PendingWelcome(Guid RoomId, int Generation, long Seq, byte[] Message);

/// <summary>
/// <c>POST /v1/rooms/{id}/invalid-commits</c>: says that the room's newest commit cannot be applied, which a server that cannot look into it does not know. When
/// an admin of the room says so, or more than half of its members do, the group begins anew: next generation, epoch 0. Another than the newest commit is
/// <see cref="ErrorCode.Conflict"/>, unless the group has begun anew since.
/// </summary>
/// <param name="Seq">The commit's place in the log.</param>
public sealed record ReportInvalidCommitRequest(long Seq);

/// <summary>What came of a report.</summary>
/// <param name="Reset">Whether the group has been reset.</param>
/// <param name="Generation">The room's generation now.</param>
public sealed record InvalidCommitReport(bool Reset, int Generation);
