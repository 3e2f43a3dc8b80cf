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
internal sealed class RosterStore(Database database, LogStore log, IEnumerable<MembersLeaving> leaving, Limits limits)
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

    // No row for an account that was erased or disabled since its name was read.
    private string JoinSql => $"""
        insert into room_members (room_id, user_id, role, joined_seq, delivered_seq)
        select @RoomId, u.id, listed.number, @FirstSeq + listed.nth, @FirstSeq + listed.nth
        from {database.RowsOf("Members")} join users u on u.id = listed.id where not u.disabled
        """;

    private string LeaveSql => $"delete from room_members where room_id = @RoomId and user_id {database.AnyOf("UserIds")}";

    private string SetRoleSql => $"update room_members set role = @Role where room_id = @RoomId and user_id {database.AnyOf("UserIds")}";

    private string RolesSql => $"select user_id, role from room_members where room_id = @RoomId and user_id {database.AnyOf("UserIds")}";

    private const string RoleSql = "select role from room_members where room_id = @RoomId and user_id = @UserId";

    private const string SummarySql = """
        select r.kind, count(m.user_id) as members, count(case when m.role = @Owner then 1 end) as owners
        from rooms r left join room_members m on m.room_id = r.id where r.id = @RoomId group by r.kind
        """;

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

    /// <summary>
    /// Carries out changes for a caller of this role: a few statements for any number of members. Returns the entries in the order of the log; a change that
    /// changes nothing has none.
    /// </summary>
    /// <param name="transaction">Holds the room's lock.</param>
    /// <param name="roomId">The room.</param>
    /// <param name="own">The caller's role.</param>
    /// <param name="edit">The changes.</param>
    /// <param name="unknown">The error for a role of an account that is not a member, by its place in the changes.</param>
    /// <param name="cancellationToken">Cancels the statements.</param>
    public async Task<List<LogEntry>> ApplyAsync(
        DbTransaction transaction, Guid roomId, RoomRole own, RosterEdit edit, Func<int, ApiException> unknown, CancellationToken cancellationToken)
    {
        Guid[] named = [.. edit.Remove, .. edit.Add.Select(add => add.UserId), .. edit.Roles.Select(change => change.UserId)];
        if (named.Length == 0)
            return [];
        var room = await SummariseAsync(transaction, roomId, cancellationToken);
        var roles = (await transaction.QueryAsync<MemberRow>(RolesSql, Listing(roomId, named), cancellationToken))
            .ToDictionary(row => row.UserId, row => row.Role);
        var rules = new RosterRules(room.Kind, room.Members, room.Owners, roles, own, limits.RoomMembers);
        List<Guid> left = [.. edit.Remove.Where(rules.Removes)];
        List<(Guid UserId, RoomRole Role)> joined = [.. edit.Add.Where(add => rules.Adds(add.UserId, add.Role))];
        List<MemberRole> changed = [.. edit.Roles.Where((change, i) => rules.Changes(change.UserId, change.Role, () => unknown(i)))];
        return
        [
            .. await LeaveAsync(transaction, roomId, left, isErased: false, cancellationToken),
            .. await JoinAsync(transaction, roomId, joined, cancellationToken),
            .. await SetRolesAsync(transaction, roomId, changed, cancellationToken),
        ];
    }

    /// <summary>Removes another member, or the caller itself. Null: it was the last member, and the room is deleted.</summary>
    public async Task<LogEntry?> RemoveAsync(
        DbTransaction transaction, Guid roomId, RoomRole own, Guid userId, bool isCaller, CancellationToken cancellationToken)
    {
        var target = await FindRoleAsync(transaction, roomId, userId, cancellationToken) ?? throw ApiException.NotFound();
        if (!isCaller && (own < RoomRole.Admin || (own < RoomRole.Owner && target >= own)))
            throw ApiException.Forbidden();
        var room = await SummariseAsync(transaction, roomId, cancellationToken);
        RosterRules.RequireGroup(room.Kind);
        if (target == RoomRole.Owner && room.Members == 1)
        {
            await RoomStore.DeleteAsync(transaction, roomId, cancellationToken);
            return null;
        }

        if (target == RoomRole.Owner && room.Owners == 1)
            throw RosterRules.NoOwner();
        return (await LeaveAsync(transaction, roomId, [userId], isErased: false, cancellationToken))[0];
    }

    public async Task<LogEntry[]> JoinAsync(
        DbTransaction transaction, Guid roomId, IReadOnlyList<(Guid UserId, RoomRole Role)> members, CancellationToken cancellationToken)
    {
        if (members.Count == 0)
            return [];
        var entries = await log.AppendRosterAsync(
            transaction, roomId, EntryKind.MemberJoined, [.. members.Select(member => ((Guid?)member.UserId, (RoomRole?)member.Role))], cancellationToken);
        var rows = Database.RowList(members.Select(member => ((Guid?)member.UserId, (int?)member.Role)));
        var added = await transaction.ExecuteAsync(JoinSql, new { RoomId = roomId, FirstSeq = entries[0].Seq, Members = rows }, cancellationToken);
        return added == members.Count ? entries : throw ApiException.NotFound();
    }

    /// <summary>Removes members and appends the roster entries, which do not name an account that is being erased.</summary>
    public async Task<LogEntry[]> LeaveAsync(
        DbTransaction transaction, Guid roomId, IReadOnlyList<Guid> userIds, bool isErased, CancellationToken cancellationToken)
    {
        if (userIds.Count == 0)
            return [];
        await transaction.ExecuteAsync(LeaveSql, Listing(roomId, userIds), cancellationToken);
        foreach (var feature in leaving)
            await feature(transaction, roomId, userIds, cancellationToken);
        return await log.AppendRosterAsync(
            transaction, roomId, EntryKind.MemberLeft, [.. userIds.Select(id => (isErased ? (Guid?)null : id, (RoomRole?)null))], cancellationToken);
    }

    public async Task<LogEntry[]> SetRolesAsync(
        DbTransaction transaction, Guid roomId, IReadOnlyList<MemberRole> changes, CancellationToken cancellationToken)
    {
        foreach (var role in changes.GroupBy(change => change.Role))
        {
            var parameters = Listing(roomId, role.Select(change => change.UserId));
            parameters.Add("Role", (int)role.Key);
            await transaction.ExecuteAsync(SetRoleSql, parameters, cancellationToken);
        }

        return await log.AppendRosterAsync(
            transaction, roomId, EntryKind.RoleChanged, [.. changes.Select(change => ((Guid?)change.UserId, (RoomRole?)change.Role))], cancellationToken);
    }

    public static async Task<RoomRole> RequireRoleAsync(DbTransaction transaction, Guid roomId, Guid userId, CancellationToken cancellationToken) =>
        await FindRoleAsync(transaction, roomId, userId, cancellationToken) ?? throw ApiException.NotFound();

    private static async Task<RoomRole?> FindRoleAsync(DbTransaction transaction, Guid roomId, Guid userId, CancellationToken cancellationToken) =>
        (RoomRole?)await transaction.QuerySingleAsync<int?>(RoleSql, new { RoomId = roomId, UserId = userId }, cancellationToken);

    private static async Task<SummaryRow> SummariseAsync(DbTransaction transaction, Guid roomId, CancellationToken cancellationToken) =>
        await transaction.QuerySingleAsync<SummaryRow>(SummarySql, new { RoomId = roomId, Owner = (int)RoomRole.Owner }, cancellationToken)
            ?? throw ApiException.NotFound();

    private DynamicParameters Listing(Guid roomId, IEnumerable<Guid> userIds)
    {
        var parameters = new DynamicParameters(new { RoomId = roomId });
        parameters.Add("UserIds", database.ListOf(userIds));
        return parameters;
    }

    private sealed record SummaryRow
    {
        public RoomKind Kind { get; init; }
        public int Members { get; init; }
        public int Owners { get; init; }
    }

    private sealed record MemberRow
    {
        public Guid RoomId { get; init; }
        public Guid UserId { get; init; }
        public string Username { get; init; } = "";
        public RoomRole Role { get; init; }
    }
}
