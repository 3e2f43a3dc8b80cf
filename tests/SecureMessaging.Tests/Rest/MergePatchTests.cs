using System.Net.Http.Headers;
using System.Text;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Rest;

/// <summary>Absent members of a patch are kept, and null members are cleared (RFC 7396), through each door and in the SDK.</summary>
public abstract class MergePatchTests(TestServer server)
{
    [Fact]
    public async Task An_absent_member_is_kept_and_a_null_member_is_cleared()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        Assert.Equal((null, 60), await PatchAsync(anna, room.Id, """{"timeToLiveSeconds":60}"""));
        Assert.Equal(("AQI=", 60), await PatchAsync(anna, room.Id, """{"name":"AQI="}"""));
        Assert.Equal(("AQI=", 3600), await PatchAsync(anna, room.Id, """{"timeToLiveSeconds":3600}"""));
        Assert.Equal(("AQI=", 3600), await PatchAsync(anna, room.Id, "{}"));
        Assert.Equal(("AQI=", null), await PatchAsync(anna, room.Id, """{"timeToLiveSeconds":null}""", "application/merge-patch+json"));
        Assert.Equal((null, null), await PatchAsync(anna, room.Id, """{"name":null}"""));
        // The log contains complete settings, and no entry for a patch that changed nothing.
        var page = await (await anna.Http.GetAsync($"/v1/rooms/{room.Id}/log")).ReadAsync<LogPage>();
        Assert.Equal(
            ["/60", "AQI=/60", "AQI=/3600", "AQI=/", "/"],
            page.Entries.Where(entry => entry.Kind == EntryKind.SettingsChanged)
                .Select(entry => $"{(entry.Settings!.Name is { } name ? Convert.ToBase64String(name) : "")}/{entry.Settings.TimeToLiveSeconds}"));
    }

    [Fact]
    public async Task GraphQL_handles_absent_and_null_members_the_same()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        foreach (var (settings, expected) in new[]
        {
            ("{ name: \"AQI=\", timeToLiveSeconds: 60 }", ("AQI=", (int?)60)), ("{ timeToLiveSeconds: 3600 }", ("AQI=", 3600)), ("{}", ("AQI=", 3600)),
            ("{ timeToLiveSeconds: null }", ("AQI=", null)), ("{ name: null }", (null, null)),
        })
        {
            await anna.Http.AskAsync($"mutation {{ changeRoomSettings(roomId: \"{room.Id}\", settings: {settings}) {{ id }} }}");
            Assert.Equal(expected, await ReadAsync(anna, room.Id));
        }
    }

    [Fact]
    public async Task Absent_profile_members_and_roles_are_kept_and_cannot_be_cleared()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([ben]);
        var role = $"/v1/rooms/{room.Id}/members/{ben.Id}";
        (await SendAsync(anna, role, "{}")).EnsureSuccessStatusCode();
        Assert.Equal("#/role", (await (await SendAsync(anna, role, """{"role":null}""")).ReadErrorAsync(400, ErrorCode.Invalid)).Errors!.Single().Pointer);
        (await SendAsync(anna, role, """{"role":"admin"}""")).EnsureSuccessStatusCode();
        (await SendAsync(anna, role, "{}")).EnsureSuccessStatusCode();
        Assert.Equal(RoomRole.Admin, (await (await anna.Http.GetAsync($"/v1/rooms/{room.Id}/members")).ReadAsync<RoomMember[]>())
            .Single(member => member.UserId == ben.Id).Role);
        await (await SendAsync(anna, $"/v1/rooms/{room.Id}/members/{Guid.NewGuid()}", "{}")).ReadErrorAsync(404, ErrorCode.NotFound);

        Assert.Equal(anna.Email, (await (await SendAsync(anna, "/v1/me", "{}")).ReadAsync<Profile>()).Email);
        Assert.Equal(
            "#/email", (await (await SendAsync(anna, "/v1/me", """{"email":null}""")).ReadErrorAsync(400, ErrorCode.Invalid)).Errors!.Single().Pointer);
        Assert.Equal("#/password",
            (await (await SendAsync(anna, "/v1/me", """{"email":"new@example.org"}""")).ReadErrorAsync(400, ErrorCode.Invalid)).Errors!.Single().Pointer);
    }

    private static async Task<(string? Name, int? Seconds)> PatchAsync(TestUser user, Guid roomId, string patch, string type = "application/json")
    {
        var room = await (await SendAsync(user, $"/v1/rooms/{roomId}", patch, type)).ReadAsync<Room>();
        return (room.Name is null ? null : Convert.ToBase64String(room.Name), room.TimeToLiveSeconds);
    }

    private static async Task<(string? Name, int? Seconds)> ReadAsync(TestUser user, Guid roomId)
    {
        var room = await (await user.Http.GetAsync($"/v1/rooms/{roomId}")).ReadAsync<Room>();
        return (room.Name is null ? null : Convert.ToBase64String(room.Name), room.TimeToLiveSeconds);
    }

    private static Task<HttpResponseMessage> SendAsync(TestUser user, string path, string patch, string type = "application/json") =>
        user.Http.PatchAsync(path, new StringContent(patch, Encoding.UTF8, MediaTypeHeaderValue.Parse(type)));
}

public sealed class MergePatchTestsOnSqlite(SqliteServer server) : MergePatchTests(server);

public sealed class MergePatchTestsOnPostgres(PostgresServer server) : MergePatchTests(server);
