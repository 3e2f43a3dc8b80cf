using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Handshakes;

/// <summary>What a commit changes beside the group: members by id, roles and settings.</summary>
public abstract class RosterChangeTests(TestServer server)
{
    [Fact]
    public async Task A_commit_adds_by_id_and_changes_roles_and_settings_in_one_run_of_entries()
    {
        var users = await server.SignUpAsync(4);
        var (anna, ben, carl, dora) = (users[0], users[1], users[2], users[3]);
        var room = await anna.CreateMlsRoomAsync(ben, carl);
        var hub = await ben.ConnectAsync(messagePack: true);
        var change = new RosterChange(
            [new AddMemberRequest(UserId: dora.Id, Role: RoomRole.Admin)], [carl.Id],
            [new MemberRole(ben.Id, RoomRole.Owner), new MemberRole(anna.Id, RoomRole.Member)],
            new ChangeRoomRequest { TimeToLiveSeconds = 3600 });
        var ack = await anna.CommitAsync(room.Id, 0, roster: change);
        var entries = await hub.WaitAsync(room.Id, entries => entries.Length == 6);
        Assert.Equal(
            [
                (4L, EntryKind.Commit, (Guid?)null, (RoomRole?)null), (5, EntryKind.MemberLeft, carl.Id, null),
                (6, EntryKind.MemberJoined, dora.Id, RoomRole.Admin),
                (7, EntryKind.RoleChanged, ben.Id, RoomRole.Owner), (8, EntryKind.RoleChanged, anna.Id, RoomRole.Member),
                (9, EntryKind.SettingsChanged, null, null),
            ],
            entries.Select(entry => (entry.Seq, entry.Kind, entry.UserId, entry.Role)));
        Assert.Equal((4L, 3600), (ack.Seq, entries[^1].Settings!.TimeToLiveSeconds!.Value));
        var now = (await anna.Http.GetFromJsonAsync<Room>($"/v1/rooms/{room.Id}", Wire.Json))!;
        Assert.Equal((RoomRole.Member, 3600, 1L), (now.Role, now.TimeToLiveSeconds!.Value, now.Epoch));
        // Only what the request has changes; null clears.
        await ben.CommitAsync(room.Id, 1, roster: new RosterChange(Settings: new ChangeRoomRequest { Name = [1] }));
        await ben.CommitAsync(room.Id, 2, roster: new RosterChange(Settings: new ChangeRoomRequest { TimeToLiveSeconds = null }));
        now = (await anna.Http.GetFromJsonAsync<Room>($"/v1/rooms/{room.Id}", Wire.Json))!;
        Assert.Equal((1, null), (now.Name!.Length, now.TimeToLiveSeconds));
    }

    [Fact]
    public async Task A_commit_with_a_change_that_is_refused_does_not_win()
    {
        var users = await server.SignUpAsync(5);
        var (owner, admin, member, other, stranger) = (users[0], users[1], users[2], users[3], users[4]);
        var room = await owner.CreateMlsRoomAsync(admin, member);
        using (var made = await owner.Http.PatchAsJsonAsync($"/v1/rooms/{room.Id}/members/{admin.Id}", new ChangeRoleRequest(RoomRole.Admin), Wire.Json))
            made.EnsureSuccessStatusCode();
        var ttl = new ChangeRoomRequest { TimeToLiveSeconds = 3600 };

        await RefusedAsync(member, new(Settings: ttl), 403, ErrorCode.Forbidden);
        await RefusedAsync(admin, new(Roles: [new(member.Id, RoomRole.Admin)]), 403, ErrorCode.Forbidden);
        await RefusedAsync(stranger, new(Settings: ttl), 404, ErrorCode.NotFound);
        await RefusedAsync(stranger, new(Roles: [new(member.Id, RoomRole.Admin)]), 404, ErrorCode.NotFound);
        await RefusedAsync(
            owner, new(Settings: new ChangeRoomRequest { TimeToLiveSeconds = 1 }), 400, ErrorCode.Invalid, "#/roster/settings/timeToLiveSeconds");
        await RefusedAsync(owner, new(Settings: new ChangeRoomRequest { Name = new byte[257] }), 413, ErrorCode.TooLarge, "#/roster/settings/name");
        await RefusedAsync(owner, new(Roles: [new(other.Id, RoomRole.Admin)]), 404, ErrorCode.NotFound, "#/roster/roles/0");
        await RefusedAsync(owner, new(Roles: [new(member.Id, RoomRole.Admin), new(member.Id, RoomRole.Owner)]), 400, ErrorCode.Invalid, "#/roster/roles/1");
        await RefusedAsync(owner, new([new(UserId: other.Id)], Roles: [new(other.Id, RoomRole.Owner)]), 400, ErrorCode.Invalid, "#/roster/roles/0");
        await RefusedAsync(owner, new(Roles: [new(owner.Id, RoomRole.Member)]), 409, ErrorCode.Conflict);
        await RefusedAsync(owner, new([new(UserId: Guid.NewGuid())]), 404, ErrorCode.NotFound, "#/roster/add/0");
        await RefusedAsync(owner, new([new(other.Username), new(UserId: other.Id)]), 400, ErrorCode.Invalid, "#/roster/add/1");
        await RefusedAsync(owner, new([new(other.Username, UserId: other.Id)]), 400, ErrorCode.Invalid, "#/roster/add/0");
        await RefusedAsync(owner, new([new()]), 400, ErrorCode.Invalid, "#/roster/add/0");
        Assert.Equal((0L, 4L), await server.PairAsync(room.Id));

        async Task RefusedAsync(TestUser by, RosterChange change, int status, ErrorCode code, string? field = null)
        {
            var request = new CommitRequest(Guid.NewGuid(), 0, TestMls.Commit(room.Id, 0), Roster: change);
            using var response = await by.Http.CommitAsync(room.Id, request);
            var error = await response.ReadErrorAsync(status, code);
            if (field is not null)
                Assert.Equal(field, error.Errors!.Single().Pointer);
        }
    }

    [Fact]
    public async Task A_direct_room_changes_only_its_settings()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var response = await anna.Http.PostAsJsonAsync("/v1/rooms", TestTrust.Direct(anna, ben), Wire.Json);
        var room = await response.ReadAsync<Room>();
        using var role = await anna.Http.CommitAsync(
            room.Id, new CommitRequest(Guid.NewGuid(), 0, TestMls.Commit(room.Id, 0), Roster: new(Roles: [new(ben.Id, RoomRole.Member)])));
        await role.ReadErrorAsync(409, ErrorCode.Conflict);
        await ben.CommitAsync(room.Id, 0, roster: new RosterChange(Settings: new ChangeRoomRequest { TimeToLiveSeconds = 60 }));
        Assert.Equal(60, (await anna.Http.GetFromJsonAsync<Room>($"/v1/rooms/{room.Id}", Wire.Json))!.TimeToLiveSeconds);
    }

    [Fact]
    public async Task GraphQL_has_the_same_change()
    {
        var users = await server.SignUpAsync(3);
        var (anna, ben, carl) = (users[0], users[1], users[2]);
        var room = await anna.CreateMlsRoomAsync(ben);
        var input = new
        {
            id = Guid.NewGuid(),
            epoch = 0,
            commit = TestMls.Commit(room.Id, 0),
            add = new[] { new { userId = carl.Id } },
            roles = new[] { new { userId = ben.Id, role = "ADMIN" } },
            settings = new { timeToLiveSeconds = 120 },
        };
        await anna.Http.AskAsync("mutation($r: ID!, $i: CommitInput!) { commit(roomId: $r, input: $i) { seq } }", new { r = room.Id, i = input });
        var now = (await carl.Http.AskAsync("query($r: ID!) { room(id: $r) { settings { timeToLiveSeconds } members { userId role } } }", new { r = room.Id }))
            .GetProperty("room");
        Assert.Equal(120, now.GetProperty("settings").GetProperty("timeToLiveSeconds").GetInt32());
        Assert.Equal(
            [(anna.Id, "OWNER"), (ben.Id, "ADMIN"), (carl.Id, "MEMBER")],
            now.GetProperty("members").EnumerateArray().Select(member => (member.GetProperty("userId").GetGuid(), member.GetProperty("role").GetString()!)));
        await anna.Http.AskAsync("mutation($r: ID!, $u: ID!) { removeMember(roomId: $r, userId: $u) }", new { r = room.Id, u = carl.Id });
        await anna.Http.AskAsync("mutation($r: ID!, $u: ID!) { addMember(roomId: $r, userId: $u) { userId } }", new { r = room.Id, u = carl.Id });
    }
}

internal static class RoomCounters
{
    /// <summary>Epoch and head of a room, as stored.</summary>
    public static async Task<(long Epoch, long LastSeq)> PairAsync(this TestServer server, Guid roomId) => (
        await server.ScalarAsync<long>("select epoch from rooms where id = @Id", new { Id = roomId }),
        await server.ScalarAsync<long>("select last_seq from rooms where id = @Id", new { Id = roomId }));
}

public sealed class RosterChangeTestsOnSqlite(SqliteServer server) : RosterChangeTests(server);

public sealed class RosterChangeTestsOnPostgres(PostgresServer server) : RosterChangeTests(server);
