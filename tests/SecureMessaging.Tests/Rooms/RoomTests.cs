using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Rooms;

public abstract class RoomTests(TestServer server)
{
    [Fact]
    public async Task The_log_contains_the_roster()
    {
        var (anna, ben, carl) = await ThreeAsync();
        var room = await anna.CreateRoomAsync([ben]);
        await AddAsync(anna, room.Id, carl);
        await ChangeRoleAsync(anna, room.Id, ben.Id, RoomRole.Admin);
        (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{carl.Id}")).EnsureSuccessStatusCode();

        var page = await anna.Http.GetFromJsonAsync<LogPage>($"/v1/rooms/{room.Id}/log", Wire.Json);
        Assert.Equal(
            [
                (1L, EntryKind.MemberJoined, anna.Id), (2, EntryKind.MemberJoined, ben.Id), (3, EntryKind.MemberJoined, carl.Id),
                (4, EntryKind.RoleChanged, ben.Id), (5, EntryKind.MemberLeft, carl.Id),
            ],
            page!.Entries.Select(entry => (entry.Seq, entry.Kind, entry.UserId!.Value)));
        Assert.Equal(RoomRole.Admin, page.Entries[3].Role);
        var members = await anna.Http.GetFromJsonAsync<RoomMember[]>($"/v1/rooms/{room.Id}/members", Wire.Json);
        Assert.Equal([(anna.Username, RoomRole.Owner), (ben.Username, RoomRole.Admin)], members!.Select(member => (member.Username, member.Role)));
    }

    [Fact]
    public async Task A_direct_room_of_two_users_exists_once()
    {
        var (anna, ben, carl) = await ThreeAsync();
        var rooms = await Task.WhenAll(Enumerable.Range(0, 8).Select(i =>
            i % 2 == 0 ? anna.CreateRoomAsync([ben], kind: RoomKind.Direct) : ben.CreateRoomAsync([anna], kind: RoomKind.Direct)));
        Assert.Single(rooms.Select(room => room.Id).Distinct());
        await (await AddAsync(anna, rooms[0].Id, carl, check: false)).ReadErrorAsync(409, ErrorCode.Conflict);
        await (await anna.Http.DeleteAsync($"/v1/rooms/{rooms[0].Id}/members/{anna.Id}")).ReadErrorAsync(409, ErrorCode.Conflict);
        using var oneself = await anna.Http.PostAsJsonAsync("/v1/rooms", new CreateRoomRequest(RoomKind.Direct, [anna.Username]), Wire.Json);
        await oneself.ReadErrorAsync(400, ErrorCode.Invalid);
    }

    [Fact]
    public async Task Two_users_have_one_direct_room_per_scheme()
    {
        var (anna, ben, _) = await ThreeAsync();
        var shared = await anna.CreateRoomAsync([ben], kind: RoomKind.Direct);
        var rooms = await Task.WhenAll(Enumerable.Range(0, 8).Select(async i =>
        {
            var (from, to) = i % 2 == 0 ? (anna, ben) : (ben, anna);
            using var response = await from.Http.PostAsJsonAsync(
                "/v1/rooms", TestTrust.Direct(from, to), Wire.Json);
            return await response.ReadAsync<Room>();
        }));
        Assert.Equal(Schemes.Mls10, rooms.Select(room => (room.Id, room.Scheme)).Distinct().Single().Scheme);
        Assert.NotEqual(shared.Id, rooms[0].Id);
        Assert.Equal(shared.Id, (await ben.CreateRoomAsync([anna], kind: RoomKind.Direct)).Id);
    }

    [Fact]
    public async Task Retrying_a_creation_returns_the_room_and_another_users_attempt_is_rejected()
    {
        var (anna, ben, carl) = await ThreeAsync();
        var request = new CreateRoomRequest(RoomKind.Group, [ben.Username], Id: Guid.NewGuid());
        using var first = await anna.Http.PostAsJsonAsync("/v1/rooms", request, Wire.Json);
        Assert.Equal(System.Net.HttpStatusCode.Created, first.StatusCode);
        using var again = await anna.Http.PostAsJsonAsync("/v1/rooms", request, Wire.Json);
        Assert.Equal(System.Net.HttpStatusCode.OK, again.StatusCode);
        Assert.Equal(2, (await again.ReadAsync<Room>()).HeadSeq);
        using var stranger = await carl.Http.PostAsJsonAsync("/v1/rooms", request, Wire.Json);
        using var read = await carl.Http.GetAsync($"/v1/rooms/{request.Id}");
        // The same as for every other request about a room of others.
        Assert.Equal(await read.ReadErrorAsync(404, ErrorCode.NotFound), await stranger.ReadErrorAsync(404, ErrorCode.NotFound));
    }

    [Fact]
    public async Task Roles_limit_members_operations()
    {
        var (owner, admin, member) = await ThreeAsync();
        await using var other = await server.SignUpAsync();
        var room = await owner.CreateRoomAsync([admin, member]);
        await ChangeRoleAsync(owner, room.Id, admin.Id, RoomRole.Admin);

        await (await AddAsync(member, room.Id, other, check: false)).ReadErrorAsync(403, ErrorCode.Forbidden);
        await (await AddAsync(admin, room.Id, other, RoomRole.Owner, check: false)).ReadErrorAsync(403, ErrorCode.Forbidden);
        await AddAsync(admin, room.Id, other);
        await (await admin.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{owner.Id}")).ReadErrorAsync(403, ErrorCode.Forbidden);
        await (await member.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{other.Id}")).ReadErrorAsync(403, ErrorCode.Forbidden);
        await (await admin.Http.PatchAsJsonAsync($"/v1/rooms/{room.Id}/members/{member.Id}", new ChangeRoleRequest(RoomRole.Admin), Wire.Json))
            .ReadErrorAsync(403, ErrorCode.Forbidden);
        var refused = await member.Http.PatchAsJsonAsync($"/v1/rooms/{room.Id}", new ChangeRoomRequest { Name = [1] }, Wire.Json);
        await refused.ReadErrorAsync(403, ErrorCode.Forbidden);
        await (await admin.Http.DeleteAsync($"/v1/rooms/{room.Id}")).ReadErrorAsync(403, ErrorCode.Forbidden);
        (await admin.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{other.Id}")).EnsureSuccessStatusCode();
        (await member.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{member.Id}")).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task A_room_never_lacks_an_owner()
    {
        var (anna, ben, _) = await ThreeAsync();
        var room = await anna.CreateRoomAsync([ben]);
        await (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{anna.Id}")).ReadErrorAsync(409, ErrorCode.Conflict);
        await (await anna.Http.PatchAsJsonAsync($"/v1/rooms/{room.Id}/members/{anna.Id}", new ChangeRoleRequest(RoomRole.Member), Wire.Json))
            .ReadErrorAsync(409, ErrorCode.Conflict);
        (await ben.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{ben.Id}")).EnsureSuccessStatusCode();
        (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{anna.Id}")).EnsureSuccessStatusCode();
        await (await anna.Http.GetAsync($"/v1/rooms/{room.Id}")).ReadErrorAsync(404, ErrorCode.NotFound);
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from entries where room_id = @Id", new { room.Id }));
    }

    [Fact]
    public async Task Non_members_and_former_members_see_nothing()
    {
        var (anna, ben, carl) = await ThreeAsync();
        var room = await anna.CreateRoomAsync([ben]);
        (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{ben.Id}")).EnsureSuccessStatusCode();
        foreach (var outsider in new[] { ben, carl })
        {
            Assert.Empty((await outsider.Http.GetFromJsonAsync<Room[]>("/v1/rooms", Wire.Json))!);
            foreach (var path in new[] { "", "/members", "/log" })
                await (await outsider.Http.GetAsync($"/v1/rooms/{room.Id}{path}")).ReadErrorAsync(404, ErrorCode.NotFound);
            var send = new SendRequest(room.Id, Guid.NewGuid(), [1]);
            await (await outsider.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/messages", send, Wire.Json)).ReadErrorAsync(404, ErrorCode.NotFound);
            await (await outsider.Http.PatchAsJsonAsync($"/v1/rooms/{room.Id}", new ChangeRoomRequest(), Wire.Json))
                .ReadErrorAsync(404, ErrorCode.NotFound);
            await (await outsider.Http.PutAsJsonAsync($"/v1/rooms/{room.Id}/delivered", new MarkDeliveredRequest(1), Wire.Json))
                .ReadErrorAsync(404, ErrorCode.NotFound);
            await (await outsider.Http.DeleteAsync($"/v1/rooms/{room.Id}")).ReadErrorAsync(404, ErrorCode.NotFound);
            await (await outsider.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{anna.Id}")).ReadErrorAsync(404, ErrorCode.NotFound);
            await (await AddAsync(outsider, room.Id, outsider, check: false)).ReadErrorAsync(404, ErrorCode.NotFound);
        }
    }

    [Fact]
    public async Task A_new_member_reads_from_its_join_on()
    {
        var (anna, ben, _) = await ThreeAsync();
        var room = await anna.CreateRoomAsync([]);
        await using var hub = await anna.ConnectAsync();
        for (var i = 0; i < 5; i++)
            await hub.SendAsync(room.Id, [1, 2, 3]);
        await AddAsync(anna, room.Id, ben);
        await hub.SendAsync(room.Id, [4]);
        var page = await ben.Http.GetFromJsonAsync<LogPage>($"/v1/rooms/{room.Id}/log", Wire.Json);
        Assert.Equal((7L, 8L), (page!.FirstSeq, page.HeadSeq));
        Assert.Equal([7L, 8L], page.Entries.Select(entry => entry.Seq));
        Assert.Equal(1, (await ben.Http.GetFromJsonAsync<Room>($"/v1/rooms/{room.Id}", Wire.Json))!.Unread);
    }

    [Fact]
    public async Task Names_and_times_to_live_have_limits()
    {
        var (anna, _, _) = await ThreeAsync();
        (await anna.Http.PostAsJsonAsync("/v1/rooms", new CreateRoomRequest(RoomKind.Group, [], new byte[256]), Wire.Json)).EnsureSuccessStatusCode();
        await (await anna.Http.PostAsJsonAsync("/v1/rooms", new CreateRoomRequest(RoomKind.Group, [], new byte[257]), Wire.Json))
            .ReadErrorAsync(413, ErrorCode.TooLarge);
        await (await anna.Http.PostAsJsonAsync("/v1/rooms", new CreateRoomRequest(RoomKind.Group, [], TimeToLiveSeconds: 59), Wire.Json))
            .ReadErrorAsync(400, ErrorCode.Invalid);
        await (await anna.Http.PostAsJsonAsync("/v1/rooms", new CreateRoomRequest(RoomKind.Group, ["no-such-person"]), Wire.Json))
            .ReadErrorAsync(404, ErrorCode.NotFound);
    }

    [Theory]
    [InlineData("""{"kind":"group"}""")]
    [InlineData("""{"kind":"group","members":null}""")]
    [InlineData("""{"kind":"group","members":[null]}""")]
    [InlineData("""{"kind":"circle","members":[]}""")]
    [InlineData("""{"kind":0,"members":[]}""")]
    [InlineData("""{"kind":"group","kind":"direct","members":[]}""")]
    [InlineData("""{"kind":"group","members":["a\u0000b"]}""")]
    [InlineData("""{"kind":"group","members":[],"name":"%%%"}""")]
    [InlineData("""[]""")]
    [InlineData("""{""")]
    [InlineData("")]
    public async Task Malformed_bodies_get_a_clear_error(string body)
    {
        await using var anna = await server.SignUpAsync();
        using var response = await anna.Http.PostAsync("/v1/rooms", new StringContent(body, System.Text.Encoding.UTF8, "application/json"));
        var code = (int)response.StatusCode == 404 ? ErrorCode.NotFound : ErrorCode.Invalid;
        await response.ReadErrorAsync(code == ErrorCode.Invalid ? 400 : 404, code);
    }

    private static async Task<HttpResponseMessage> AddAsync(TestUser by, Guid roomId, TestUser who, RoomRole role = RoomRole.Member, bool check = true)
    {
        var response = await by.Http.PostAsJsonAsync($"/v1/rooms/{roomId}/members", new AddMemberRequest(who.Username, role), Wire.Json);
        return check ? response.EnsureSuccessStatusCode() : response;
    }

    private static async Task ChangeRoleAsync(TestUser by, Guid roomId, Guid userId, RoomRole role) =>
        (await by.Http.PatchAsJsonAsync($"/v1/rooms/{roomId}/members/{userId}", new ChangeRoleRequest(role), Wire.Json)).EnsureSuccessStatusCode();

    private async Task<(TestUser Anna, TestUser Ben, TestUser Carl)> ThreeAsync()
    {
        var users = await server.SignUpAsync(3);
        return (users[0], users[1], users[2]);
    }
}

public sealed class RoomTestsOnSqlite(SqliteServer server) : RoomTests(server);

public sealed class RoomTestsOnPostgres(PostgresServer server) : RoomTests(server);
