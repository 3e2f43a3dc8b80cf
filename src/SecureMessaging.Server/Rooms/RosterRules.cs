using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Rooms;

/// <summary>Changes of a roster that take effect together, in this order.</summary>
internal sealed record RosterEdit(IReadOnlyList<Guid> Remove, IReadOnlyList<(Guid UserId, RoomRole Role)> Add, IReadOnlyList<MemberRole> Roles)
{
    public static RosterEdit Nothing { get; } = new([], [], []);
}

/// <summary>
/// What a caller may change in a roster. Each method returns false if the change would change nothing, throws if the caller may not make it, and otherwise
/// counts it for the changes after it.
/// </summary>
/// <param name="kind">The kind of the room.</param>
/// <param name="members">Number of members.</param>
/// <param name="owners">Number of owners among them.</param>
/// <param name="roles">The roles of all members that the changes name.</param>
/// <param name="own">The caller's role.</param>
/// <param name="mostMembers">The limit.</param>
internal sealed class RosterRules(RoomKind kind, int members, int owners, Dictionary<Guid, RoomRole> roles, RoomRole own, int mostMembers)
{
    private int memberCount = members;
    private int ownerCount = owners;

    public bool Removes(Guid userId)
    {
        Require(own >= RoomRole.Admin);
        if (!roles.Remove(userId, out var target))
            return false;
        // The caller stays, so a room whose owner removes an owner keeps one.
        if (own < RoomRole.Owner && target >= own)
            throw ApiException.Forbidden();
        memberCount--;
        ownerCount -= target == RoomRole.Owner ? 1 : 0;
        return true;
    }

    public bool Adds(Guid userId, RoomRole role)
    {
        Require(own >= RoomRole.Admin && (own == RoomRole.Owner || role <= RoomRole.Member));
        if (!roles.TryAdd(userId, role))
            return false;
        if (memberCount >= mostMembers)
            throw new ApiException(ErrorCode.TooLarge, $"A room may have at most {mostMembers} members.");
        memberCount++;
        ownerCount += role == RoomRole.Owner ? 1 : 0;
        return true;
    }

    /// <param name="userId">The member.</param>
    /// <param name="role">The new role.</param>
    /// <param name="unknown">Thrown if the account is not a member.</param>
    public bool Changes(Guid userId, RoomRole role, Func<ApiException> unknown)
    {
        Require(own == RoomRole.Owner);
        if (!roles.TryGetValue(userId, out var before))
            throw unknown();
        if (before == role)
            return false;
        if (before == RoomRole.Owner)
            RequireOtherOwner();
        roles[userId] = role;
        ownerCount += role == RoomRole.Owner ? 1 : before == RoomRole.Owner ? -1 : 0;
        return true;
    }

    private void Require(bool isAllowed)
    {
        if (!isAllowed)
            throw ApiException.Forbidden();
        RequireGroup(kind);
    }

    private void RequireOtherOwner()
    {
        if (ownerCount <= 1)
            throw NoOwner();
    }

    public static void RequireGroup(RoomKind kind)
    {
        if (kind == RoomKind.Direct)
            throw new ApiException(ErrorCode.Conflict, "The members of a direct room are fixed. Delete the room instead.");
    }

    public static ApiException NoOwner() => new(ErrorCode.Conflict, "The room would have no owner. Give another member the owner role first.");
}
