using System.Data.Common;
using Dapper;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Rooms;

/// <summary>
/// The members of rooms and their roles. Every change appends an entry to the room's log, in the caller's transaction and under the room's lock.
/// </summary>
internal sealed class RosterStore(Database database, LogStore log, IEnumerable<MemberLeaving> leaving, Limits limits)
{
    private const string MembersSql = """
        select u.id as user_id, u.username, m.role
        from room_members me
        join room_members m on m.room_id = me.room_id
        join users u on u.id = m.user_id
        where me.room_id = @RoomId and me.user_id = @UserId
        order by m.joined_seq
        """;

    private string MembersOfRoomsSql => $"""
        select m.room_id, u.id as user_id, u.username, m.role
        from room_members me
        join room_members m on m.room_id = me.room_id
        join users u on u.id = m.user_id
        where me.user_id = @UserId and me.room_id {database.AnyOf("RoomIds")}
        order by m.room_id, m.joined_seq
        """;

    private const string JoinSql = """
        insert into room_members (room_id, user_id, role, joined_seq, delivered_seq)
        select @RoomId, id, @Role, @Seq, @Seq from users where id = @UserId and not disabled
        """;

    private const string LeaveSql = "delete from room_members where room_id = @RoomId and user_id = @UserId";

    private const string SetRoleSql = "update room_members set role = @Role where room_id = @RoomId and user_id = @UserId";

    private const string RoleSql = "select role from room_members where room_id = @RoomId and user_id = @UserId";

    private const string KindSql = "select kind from rooms where id = @RoomId";

    private const string CountSql = "select count(*) from room_members where room_id = @RoomId";

    private const string OtherOwnersSql = "select count(*) from room_members where room_id = @RoomId and user_id <> @UserId and role = @Owner";

    public async Task<RoomMember[]> ListAsync(Caller caller, Guid roomId, CancellationToken cancellationToken)
    {
        var rows = await database.ReadAsync(
            connection => connection.QueryAsync<MemberRow>(MembersSql, new { RoomId = roomId, caller.UserId }, cancellationToken), cancellationToken);
        return rows.Count == 0 ? throw ApiException.NotFound() : [.. rows.Select(row => new RoomMember(row.UserId, row.Username, row.Role))];
    }

    /// <summary>The members of several rooms in one statement. Rooms that the caller is not a member of are missing.</summary>
    public async Task<Dictionary<Guid, RoomMember[]>> ListAsync(Caller caller, IReadOnlyCollection<Guid> roomIds, CancellationToken cancellationToken)
    {
        var parameters = new DynamicParameters(new { caller.UserId });
        parameters.Add("RoomIds", database.ListOf(roomIds));
        var rows = await database.ReadAsync(
            connection => connection.QueryAsync<MemberRow>(MembersOfRoomsSql, parameters, cancellationToken), cancellationToken);
        return rows.GroupBy(row => row.RoomId).ToDictionary(
            room => room.Key, room => room.Select(row => new RoomMember(row.UserId, row.Username, row.Role)).ToArray());
    }

    public async Task<LogEntry> JoinAsync(DbTransaction transaction, Guid roomId, Guid userId, RoomRole role, CancellationToken cancellationToken)
    {
        var entry = await log.AppendAsync(transaction, roomId, new(0, EntryKind.MemberJoined, default, UserId: userId, Role: role), cancellationToken);
        // No row: the account was erased or disabled since its name was read.
        var added = await transaction.ExecuteAsync(JoinSql, new { RoomId = roomId, UserId = userId, Role = (int)role, entry.Seq }, cancellationToken);
        return added == 1 ? entry : throw ApiException.NotFound();
    }

    /// <summary>Adds a member for a caller of this role. Null: the account is a member already.</summary>
    public async Task<LogEntry?> AddAsync(DbTransaction transaction, Guid roomId, RoomRole own, Guid userId, RoomRole role, CancellationToken cancellationToken)
    {
        if (own < RoomRole.Admin || (own < RoomRole.Owner && role > RoomRole.Member))
            throw ApiException.Forbidden();
        await RequireGroupAsync(transaction, roomId, cancellationToken);
        if (await FindRoleAsync(transaction, roomId, userId, cancellationToken) is not null)
            return null;
        if (await transaction.QuerySingleAsync<int>(CountSql, new { RoomId = roomId }, cancellationToken) >= limits.RoomMembers)
            throw new ApiException(ErrorCode.TooLarge, $"A room may have at most {limits.RoomMembers} members.");
        return await JoinAsync(transaction, roomId, userId, role, cancellationToken);
    }

    /// <summary>Removes another member for a caller of this role. Null: the account is not a member.</summary>
    public async Task<LogEntry?> RemoveOtherAsync(DbTransaction transaction, Guid roomId, RoomRole own, Guid userId, CancellationToken cancellationToken)
    {
        if (own < RoomRole.Admin)
            throw ApiException.Forbidden();
        await RequireGroupAsync(transaction, roomId, cancellationToken);
        if (await FindRoleAsync(transaction, roomId, userId, cancellationToken) is not { } target)
            return null;
        // The caller stays, so a room whose owner removes an owner keeps one.
        if (own < RoomRole.Owner && target >= own)
            throw ApiException.Forbidden();
        return await LeaveAsync(transaction, roomId, userId, userId, cancellationToken);
    }

    /// <summary>Removes another member, or the caller itself. Null: it was the last member, and the room is deleted.</summary>
    public async Task<LogEntry?> RemoveAsync(
        DbTransaction transaction, Guid roomId, RoomRole own, Guid userId, bool isCaller, CancellationToken cancellationToken)
    {
        var target = await FindRoleAsync(transaction, roomId, userId, cancellationToken) ?? throw ApiException.NotFound();
        if (!isCaller && (own < RoomRole.Admin || (own < RoomRole.Owner && target >= own)))
            throw ApiException.Forbidden();
        await RequireGroupAsync(transaction, roomId, cancellationToken);
        if (target == RoomRole.Owner)
        {
            if (await transaction.QuerySingleAsync<int>(CountSql, new { RoomId = roomId }, cancellationToken) == 1)
            {
                await RoomStore.DeleteAsync(transaction, roomId, cancellationToken);
                return null;
            }

            await RequireOtherOwnerAsync(transaction, roomId, userId, cancellationToken);
        }

        return await LeaveAsync(transaction, roomId, userId, userId, cancellationToken);
    }

    /// <summary>Changes a role for a caller of this role. Null: the member has that role already.</summary>
    public async Task<LogEntry?> ChangeRoleAsync(
        DbTransaction transaction, Guid roomId, RoomRole own, Guid userId, RoomRole role, CancellationToken cancellationToken)
    {
        if (own < RoomRole.Owner)
            throw ApiException.Forbidden();
        await RequireGroupAsync(transaction, roomId, cancellationToken);
        var before = await FindRoleAsync(transaction, roomId, userId, cancellationToken) ?? throw ApiException.NotFound();
        if (before == role)
            return null;
        if (before == RoomRole.Owner)
            await RequireOtherOwnerAsync(transaction, roomId, userId, cancellationToken);
        return await SetRoleAsync(transaction, roomId, userId, role, cancellationToken);
    }

    /// <summary>Removes a member and appends the roster entry. <paramref name="named"/> is null if the account is being erased.</summary>
    public async Task<LogEntry> LeaveAsync(DbTransaction transaction, Guid roomId, Guid userId, Guid? named, CancellationToken cancellationToken)
    {
        await transaction.ExecuteAsync(LeaveSql, new { RoomId = roomId, UserId = userId }, cancellationToken);
        foreach (var feature in leaving)
            await feature(transaction, roomId, userId, cancellationToken);
        return await log.AppendAsync(transaction, roomId, new(0, EntryKind.MemberLeft, default, UserId: named), cancellationToken);
    }

    public async Task<LogEntry> SetRoleAsync(DbTransaction transaction, Guid roomId, Guid userId, RoomRole role, CancellationToken cancellationToken)
    {
        await transaction.ExecuteAsync(SetRoleSql, new { RoomId = roomId, UserId = userId, Role = (int)role }, cancellationToken);
        return await log.AppendAsync(transaction, roomId, new(0, EntryKind.RoleChanged, default, UserId: userId, Role: role), cancellationToken);
    }

    public static async Task<RoomRole> RequireRoleAsync(DbTransaction transaction, Guid roomId, Guid userId, CancellationToken cancellationToken) =>
        await FindRoleAsync(transaction, roomId, userId, cancellationToken) ?? throw ApiException.NotFound();

    private static async Task<RoomRole?> FindRoleAsync(DbTransaction transaction, Guid roomId, Guid userId, CancellationToken cancellationToken) =>
        (RoomRole?)await transaction.QuerySingleAsync<int?>(RoleSql, new { RoomId = roomId, UserId = userId }, cancellationToken);

    private static async Task RequireGroupAsync(DbTransaction transaction, Guid roomId, CancellationToken cancellationToken)
    {
        if (await transaction.QuerySingleAsync<int>(KindSql, new { RoomId = roomId }, cancellationToken) == (int)RoomKind.Direct)
            throw new ApiException(ErrorCode.Conflict, "The members of a direct room are fixed. Delete the room instead.");
    }

    private static async Task RequireOtherOwnerAsync(DbTransaction transaction, Guid roomId, Guid userId, CancellationToken cancellationToken)
    {
        var parameters = new { RoomId = roomId, UserId = userId, Owner = (int)RoomRole.Owner };
        if (await transaction.QuerySingleAsync<int>(OtherOwnersSql, parameters, cancellationToken) == 0)
            throw new ApiException(ErrorCode.Conflict, "The room would have no owner. Give another member the owner role first.");
    }

    private sealed record MemberRow
    {
        public Guid RoomId { get; init; }
        public Guid UserId { get; init; }
        public string Username { get; init; } = "";
        public RoomRole Role { get; init; }
    }
}
