using System.Net.Http.Json;
using SecureMessaging.Client;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Rooms;

/// <summary>Rooms whose id is computed from a signed object, and members who are named by id.</summary>
public abstract class FoundingTests(TestServer server)
{
    [Fact]
    public async Task The_id_of_a_room_follows_from_its_founding_through_every_door()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var founding = TestTrust.Founding(anna);
        var request = new CreateRoomRequest(RoomKind.Group, [], Scheme: Schemes.Mls10, Founding: founding, UserIds: [ben.Id]);
        using var first = await CreateAsync(anna, request);
        Assert.Equal(201, (int)first.StatusCode);
        var room = await first.ReadAsync<Room>();
        Assert.Equal((TestTrust.RoomIdOf(founding), Convert.ToHexString(founding)), (room.Id, Convert.ToHexString(room.Founding!)));
        using var again = await CreateAsync(anna, request with { Id = room.Id });
        Assert.Equal(200, (int)again.StatusCode);
        Assert.Equal(room.Id, (await again.ReadAsync<Room>()).Id);

        Assert.Equal(founding, (await ben.Http.GetFromJsonAsync<Room>($"/v1/rooms/{room.Id}", Wire.Json))!.Founding);
        Assert.Equal(founding, (await ben.Http.GetFromJsonAsync<Room[]>("/v1/rooms", Wire.Json))!.Single().Founding);
        var asked = (await ben.Http.AskAsync("query($id: ID!) { room(id: $id) { founding } }", new { id = room.Id })).GetProperty("room");
        Assert.Equal(founding, asked.GetProperty("founding").GetBytesFromBase64());
        await using var client = await SecureMessagingClient.SignInAsync(
            ben.Url, ben.Username, ben.Password, new ClientOptions { Cipher = new SharedKeyCipher() });
        Assert.Equal(founding, (await client.Rooms.GetAsync(room.Id)).Founding);

        var second = TestTrust.Founding(anna);
        var created = (await anna.Http.AskAsync(
            "mutation($i: CreateRoomInput!) { createRoom(input: $i) { id founding members { userId } } }",
            new { i = new { members = Array.Empty<string>(), scheme = Schemes.Mls10, founding = second, userIds = new[] { ben.Id } } }))
            .GetProperty("createRoom");
        Assert.Equal(TestTrust.RoomIdOf(second), created.GetProperty("id").GetGuid());
        Assert.Equal(2, created.GetProperty("members").GetArrayLength());
    }

    [Fact]
    public async Task A_direct_room_has_the_two_users_of_its_founding_and_exists_once()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        await using var carl = await server.SignUpAsync();
        var request = new CreateRoomRequest(RoomKind.Direct, [], Scheme: Schemes.Mls10, Founding: TestTrust.Founding(anna, ben), UserIds: [ben.Id]);
        await RefusedAsync(anna, request with { UserIds = [carl.Id] });
        await RefusedAsync(anna, request with { Founding = TestTrust.Founding(anna) });
        await RefusedAsync(ben, request with { UserIds = [anna.Id] });
        using var response = await CreateAsync(anna, request);
        var room = await response.ReadAsync<Room>();
        Assert.Equal(TestTrust.RoomIdOf(request.Founding!), room.Id);
        // The other user has a founding of its own, and gets the room that exists.
        using var other = await CreateAsync(ben, request with { Founding = TestTrust.Founding(ben, anna), UserIds = null, Members = [anna.Username] });
        Assert.Equal(200, (int)other.StatusCode);
        var same = await other.ReadAsync<Room>();
        Assert.Equal((room.Id, Convert.ToHexString(room.Founding!)), (same.Id, Convert.ToHexString(same.Founding!)));
    }

    [Fact]
    public async Task A_founding_must_fit_the_request()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var good = TestTrust.Founding(anna);
        var request = new CreateRoomRequest(RoomKind.Group, [], Scheme: Schemes.Mls10, Founding: good);
        byte[][] wrong =
        [
            [], [0], good[..^1], [.. good, 0], TestTrust.Founding(ben), TestTrust.Founding(anna, ben), TestTrust.Founding(anna, scheme: "mls11"),
            TestTrust.Founding(anna, version: 2), new byte[1000],
        ];
        foreach (var founding in wrong)
            await RefusedAsync(anna, request with { Founding = founding });
        await RefusedAsync(anna, request with { Founding = null });
        await RefusedAsync(anna, request with { Scheme = Schemes.Opaque });
        await RefusedAsync(anna, request with { Id = Guid.NewGuid() });
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from room_members where user_id = @Id", new { anna.Id }));
    }

    [Fact]
    public async Task Members_can_be_named_by_id()
    {
        var users = await server.SignUpAsync(4);
        var (anna, ben, carl, dora) = (users[0], users[1], users[2], users[3]);
        using var response = await CreateAsync(
            anna, new CreateRoomRequest(RoomKind.Group, [ben.Username], UserIds: [carl.Id, ben.Id, anna.Id, carl.Id]));
        var room = await response.ReadAsync<Room>();
        await (await AddAsync(new AddMemberRequest(UserId: dora.Id))).ReadAsync<RoomMember>();
        Assert.Equal(users.Select(user => user.Id), await MembersAsync());

        using var unknown = await CreateAsync(anna, new CreateRoomRequest(RoomKind.Group, [], UserIds: [ben.Id, Guid.NewGuid()]));
        Assert.Equal("#/userIds/1", (await unknown.ReadErrorAsync(404, ErrorCode.NotFound)).Errors!.Single().Pointer);
        Assert.Equal("#/userId", (await (await AddAsync(new AddMemberRequest(UserId: Guid.NewGuid()))).ReadErrorAsync(404, ErrorCode.NotFound))
            .Errors!.Single().Pointer);
        await (await AddAsync(new AddMemberRequest())).ReadErrorAsync(400, ErrorCode.Invalid);
        await (await AddAsync(new AddMemberRequest(dora.Username, UserId: dora.Id))).ReadErrorAsync(400, ErrorCode.Invalid);
        using var many = await CreateAsync(
            anna, new CreateRoomRequest(RoomKind.Group, [], UserIds: [.. Enumerable.Range(0, 1000).Select(_ => Guid.NewGuid())]));
        await many.ReadErrorAsync(413, ErrorCode.TooLarge);

        Task<HttpResponseMessage> AddAsync(AddMemberRequest request) => anna.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/members", request, Wire.Json);

        async Task<IEnumerable<Guid>> MembersAsync() =>
            (await anna.Http.GetFromJsonAsync<RoomMember[]>($"/v1/rooms/{room.Id}/members", Wire.Json))!.Select(member => member.UserId);
    }

    private static async Task RefusedAsync(TestUser user, CreateRoomRequest request)
    {
        using var response = await CreateAsync(user, request);
        var error = await response.ReadErrorAsync(400, ErrorCode.Invalid);
        Assert.Contains("#/founding", error.Errors!.Select(field => field.Pointer));
    }

    private static Task<HttpResponseMessage> CreateAsync(TestUser user, CreateRoomRequest request) =>
        user.Http.PostAsJsonAsync("/v1/rooms", request, Wire.Json);
}

public sealed class FoundingTestsOnSqlite(SqliteServer server) : FoundingTests(server);

public sealed class FoundingTestsOnPostgres(PostgresServer server) : FoundingTests(server);
