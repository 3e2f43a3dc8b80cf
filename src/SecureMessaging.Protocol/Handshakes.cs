namespace SecureMessaging.Protocol;

/// <summary>
/// <c>POST /v1/rooms/{id}/commits</c>: ends an epoch of the room's MLS group (RFC 9420 section 12.4). Exactly one commit wins each epoch. The others get
/// <see cref="ErrorCode.WrongEpoch"/> and have no effect.
/// </summary>
/// <remarks>
/// The group's id is the room's id (RFC 9562 byte order) followed by the room's generation as four bytes, big-endian. Any member may create the group of a new
/// generation with a commit of epoch 0. Application messages are accepted from epoch 1 on. The epoch of the log entry is the one that the commit ended.
/// </remarks>
/// <param name="Id">Names the commit, random (version 4). The same id with the same bytes returns the first answer.</param>
/// <param name="Epoch">The epoch it ends.</param>
/// <param name="Commit">MLSMessage with a PrivateMessage of content type commit, up to <see cref="Limits.HandshakeBytes"/>.</param>
/// <param name="Welcomes">MLSMessages with a Welcome, each for devices of members (after <paramref name="Roster"/>), found by KeyPackage reference.</param>
/// <param name="Roster">The roster change of the commit.</param>
public sealed record CommitRequest(Guid Id, long Epoch, byte[] Commit, byte[][]? Welcomes = null, RosterChange? Roster = null);

/// <summary>
/// Who joins and leaves with a commit, which roles and which settings change with it, by the rules of <c>rooms/{id}/members</c> and <c>rooms/{id}</c>. The
/// caller's role before the commit decides. In the log, the commit is first, then leaving members, joining members, roles and settings. So members who leave
/// receive the commit that removes them. A member who is already in, or out, stays so.
/// </summary>
/// <param name="Add">Members that join; never the caller.</param>
/// <param name="Remove">Members that leave; never the caller.</param>
/// <param name="Roles">New roles of members. Each account is named at most once in all three lists.</param>
/// <param name="Settings">New settings of the room.</param>
public sealed record RosterChange(
    AddMemberRequest[]? Add = null, Guid[]? Remove = null, MemberRole[]? Roles = null, ChangeRoomRequest? Settings = null);

/// <summary>The role of a member from here on.</summary>
/// <param name="UserId">The member.</param>
/// <param name="Role">The role.</param>
public sealed record MemberRole(Guid UserId, RoomRole Role);

/// <summary>The commit won its epoch.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="Id">The commit.</param>
/// <param name="Seq">Its place in the room's log.</param>
/// <param name="Epoch">The epoch that it starts.</param>
/// <param name="Duplicate">Whether an earlier attempt had stored it already.</param>
public sealed record CommitAck(Guid RoomId, Guid Id, long Seq, long Epoch, bool Duplicate);

/// <summary>
/// <c>POST /v1/rooms/{id}/proposals</c>: an MLS Proposal (RFC 9420 section 12.1), valid only in the current epoch. Replies with a
/// <see cref="SendAck"/>.
/// </summary>
/// <param name="Id">Names the proposal, as in <see cref="CommitRequest"/>.</param>
/// <param name="Epoch">The current epoch.</param>
/// <param name="Proposal">MLSMessage with a PrivateMessage of content type proposal.</param>
public sealed record ProposalRequest(Guid Id, long Epoch, byte[] Proposal);

/// <summary>
/// A Welcome that waits for a device. The device reads it by <c>GET /v1/devices/{id}/welcomes</c>, oldest first, page by page until the answer is empty,
/// and deletes it by <c>DELETE …/welcomes/{roomId}/{seq}</c> (204) once it is stored.
/// </summary>
/// <param name="RoomId">The room.</param>
/// <param name="Generation">The group's generation.</param>
/// <param name="Seq">The commit's place in the log. The device can read the entries after it.</param>
/// <param name="Message">MLSMessage with the Welcome (RFC 9420 section 12.4.3.1).</param>
public sealed record PendingWelcome(Guid RoomId, int Generation, long Seq, byte[] Message);

/// <summary>
/// <c>POST /v1/rooms/{id}/invalid-commits</c>: reports that the room's newest commit cannot be applied. The server cannot decrypt it and so does not know.
/// When an admin of the room reports it, or more than half of the members, the group is reset: next generation, epoch 0. A report about an earlier
/// commit is <see cref="ErrorCode.Conflict"/>, unless the group has been reset since. Members whose commits are reported get
/// <see cref="ErrorCode.RateLimited"/> for further commits in the room: from one minute to one day, longer with each reporter and each reset after
/// the first, and shorter again after days.
/// </summary>
/// <param name="Seq">The commit's place in the log.</param>
public sealed record ReportInvalidCommitRequest(long Seq);

/// <summary>The result of a report.</summary>
/// <param name="Reset">Whether the group has been reset.</param>
/// <param name="Generation">The room's generation now.</param>
public sealed record InvalidCommitReport(bool Reset, int Generation);
