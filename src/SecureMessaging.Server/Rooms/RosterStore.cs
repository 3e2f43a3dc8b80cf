using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Handshakes;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Rooms;

/// <summary>Who is in a room and with which role. Every change is an entry of the room's log, in the same transaction, under the room's lock.</summary>
internal sealed class RosterStore(Database database, RoomStore rooms, LogStore log, CommitFeed feed, RoomEvents events, Limits limits)
{
    private const string MembersSql = """
        select u.id as user_id, u.username, m.role
        from room_members me
        join room_members m on m.room_id = me.room_id
        join users u on u.id = m.user_id
        where me.room_id = @RoomId and me.user_id = @UserId
        order by m.joined_seq
        """;

    private const string RoleSql = "select role from room_members where room_id = @RoomId and user_id = @UserId";

    private const string CountSql = "select count(*) from room_members where room_id = @RoomId";

    private const string OtherOwnersSql = "select count(*) from room_members where room_id = @RoomId and user_id <> @UserId and role = @Owner";

    public async Task<RoomMember[]> ListAsync(Caller caller, Guid roomId, CancellationToken cancellationToken)
    {
        var rows = await database.ReadAsync(
            connection => connection.QueryAsync<MemberRow>(MembersSql, new { RoomId = roomId, caller.UserId }, cancellationToken), cancellationToken);
        return rows.Count == 0 ? throw ApiException.NotFound() : [.. rows.Select(row => new RoomMember(row.UserId, row.Username, row.Role))];
    }

    /// <summary>Adds a member. Adding one who is in already changes nothing.</summary>
    public async Task AddAsync(Caller caller, Guid roomId, Guid userId, RoomRole role, CancellationToken cancellationToken)
    {
        var entry = await feed.WriteAsync(roomId, () => database.WriteAsync(
            async transaction =>
            {
                await log.LockRoomAsync(transaction, roomId, cancellationToken);
                var own = await RequireRoleAsync(transaction, roomId, caller.UserId, cancellationToken);
                return await AddAsync(transaction, roomId, own, userId, role, cancellationToken);
            },
            cancellationToken));
        if (entry is not null)
            await feed.PublishAsync(roomId, entry);
    }

    /// <summary>Adds a member for a caller of this role, inside the caller's transaction and under the room's lock. Null: was in already.</summary>
    public async Task<LogEntry?> AddAsync(DbTransaction transaction, Guid roomId, RoomRole own, Guid userId, RoomRole role, CancellationToken cancellationToken)
    {
        if (own < RoomRole.Admin || (own < RoomRole.Owner && role > RoomRole.Member))
            throw ApiException.Forbidden();
        await RequireGroupAsync(transaction, roomId, cancellationToken);
        if (await FindRoleAsync(transaction, roomId, userId, cancellationToken) is not null)
            return null;
        if (await transaction.QuerySingleAsync<int>(CountSql, new { RoomId = roomId }, cancellationToken) >= limits.RoomMembers)
            throw new ApiException(ErrorCode.TooLarge, $"A room has {limits.RoomMembers} members at most.");
        return await rooms.JoinAsync(transaction, roomId, userId, role, cancellationToken);
    }

    /// <summary>Removes another member for a caller of this role, inside the caller's transaction and under the room's lock. Null: was not in any more.</summary>
    public async Task<LogEntry?> RemoveOtherAsync(DbTransaction transaction, Guid roomId, RoomRole own, Guid userId, CancellationToken cancellationToken)
    {
        if (own < RoomRole.Admin)
            throw ApiException.Forbidden();
        await RequireGroupAsync(transaction, roomId, cancellationToken);
        if (await FindRoleAsync(transaction, roomId, userId, cancellationToken) is not { } target)
            return null;
        // An owner removes owners, and stays one: the room never lacks one.
        if (own < RoomRole.Owner && target >= own)
            throw ApiException.Forbidden();
        return await LeaveAsync(transaction, roomId, userId, userId, cancellationToken);
    }

    /// <summary>Removes a member, or oneself. The last one to leave takes the room along.</summary>
    public async Task RemoveAsync(Caller caller, Guid roomId, Guid userId, CancellationToken cancellationToken)
    {
        var entry = await feed.WriteAsync(roomId, () => database.WriteAsync(
            async transaction =>
            {
                await log.LockRoomAsync(transaction, roomId, cancellationToken);
                var own = await RequireRoleAsync(transaction, roomId, caller.UserId, cancellationToken);
                var target = await FindRoleAsync(transaction, roomId, userId, cancellationToken) ?? throw ApiException.NotFound();
                if (userId != caller.UserId && (own < RoomRole.Admin || (own < RoomRole.Owner && target >= own)))
                    throw ApiException.Forbidden();
                await RequireGroupAsync(transaction, roomId, cancellationToken);
                if (target == RoomRole.Owner)
                {
                    if (await transaction.QuerySingleAsync<int>(CountSql, new { RoomId = roomId }, cancellationToken) == 1)
                    {
                        await transaction.ExecuteAsync("delete from rooms where id = @RoomId", new { RoomId = roomId }, cancellationToken);
                        return null;
                    }

                    await RequireOtherOwnerAsync(transaction, roomId, userId, cancellationToken);
                }

                return await LeaveAsync(transaction, roomId, userId, userId, cancellationToken);
            },
            cancellationToken));
        if (entry is null)
            events.RaiseDeleted(roomId);
        else
            await feed.PublishAsync(roomId, entry);
    }

    public async Task ChangeRoleAsync(Caller caller, Guid roomId, Guid userId, RoomRole role, CancellationToken cancellationToken)
    {
        var entry = await feed.WriteAsync(roomId, () => database.WriteAsync(
            async transaction =>
            {
                await log.LockRoomAsync(transaction, roomId, cancellationToken);
                if (await RequireRoleAsync(transaction, roomId, caller.UserId, cancellationToken) < RoomRole.Owner)
                    throw ApiException.Forbidden();
                await RequireGroupAsync(transaction, roomId, cancellationToken);
                var before = await FindRoleAsync(transaction, roomId, userId, cancellationToken) ?? throw ApiException.NotFound();
                if (before == role)
                    return null;
                if (before == RoomRole.Owner)
                    await RequireOtherOwnerAsync(transaction, roomId, userId, cancellationToken);
                return await SetRoleAsync(transaction, roomId, userId, role, cancellationToken);
            },
            cancellationToken));
        if (entry is not null)
            await feed.PublishAsync(roomId, entry);
    }

    /// <summary>Takes a member out with its roster entry. <paramref name="named"/> is null when the account is being erased.</summary>
    public async Task<LogEntry> LeaveAsync(DbTransaction transaction, Guid roomId, Guid userId, Guid? named, CancellationToken cancellationToken)
    {
        await transaction.ExecuteAsync(
            "delete from room_members where room_id = @RoomId and user_id = @UserId", new { RoomId = roomId, UserId = userId }, cancellationToken);
        await WelcomeStore.ForgetAsync(transaction, roomId, userId, cancellationToken);
        return await log.AppendAsync(transaction, roomId, new(0, EntryKind.MemberLeft, default, UserId: named), cancellationToken);
    }

    public async Task<LogEntry> SetRoleAsync(DbTransaction transaction, Guid roomId, Guid userId, RoomRole role, CancellationToken cancellationToken)
    {
        await transaction.ExecuteAsync(
            "update room_members set role = @Role where room_id = @RoomId and user_id = @UserId",
            new { RoomId = roomId, UserId = userId, Role = (int)role }, cancellationToken);
        return await log.AppendAsync(transaction, roomId, new(0, EntryKind.RoleChanged, default, UserId: userId, Role: role), cancellationToken);
    }

    public static async Task<RoomRole> RequireRoleAsync(DbTransaction transaction, Guid roomId, Guid userId, CancellationToken cancellationToken) =>
        await FindRoleAsync(transaction, roomId, userId, cancellationToken) ?? throw ApiException.NotFound();

    private static async Task<RoomRole?> FindRoleAsync(DbTransaction transaction, Guid roomId, Guid userId, CancellationToken cancellationToken) =>
        (RoomRole?)await transaction.QuerySingleAsync<int?>(RoleSql, new { RoomId = roomId, UserId = userId }, cancellationToken);

    private static async Task RequireGroupAsync(DbTransaction transaction, Guid roomId, CancellationToken cancellationToken)
    {
        if (await transaction.QuerySingleAsync<int>("select kind from rooms where id = @RoomId", new { RoomId = roomId }, cancellationToken) == (int)RoomKind.Direct)
            throw new ApiException(ErrorCode.Conflict, "The roster of a direct room does not change; delete the room instead.");
    }

    private static async Task RequireOtherOwnerAsync(DbTransaction transaction, Guid roomId, Guid userId, CancellationToken cancellationToken)
    {
        var parameters = new { RoomId = roomId, UserId = userId, Owner = (int)RoomRole.Owner };
        if (await transaction.QuerySingleAsync<int>(OtherOwnersSql, parameters, cancellationToken) == 0)
            throw new ApiException(ErrorCode.Conflict, "The room would have no owner; make someone else owner first.");
    }

    private sealed record MemberRow
    {
        public Guid UserId { get; init; }
        public string Username { get; init; } = "";
        public RoomRole Role { get; init; }
    }
}
