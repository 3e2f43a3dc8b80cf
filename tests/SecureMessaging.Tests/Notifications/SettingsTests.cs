using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Notifications;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Notifications;

public abstract class SettingsTests(TestServer server)
{
    private static readonly NotificationSettings Night =
        new(QuietFrom: 22 * 60, QuietUntil: 7 * 60, TimeZone: "Europe/Vienna", Priority: NotificationPriority.Low);

    [Fact]
    public async Task Account_settings_apply_until_a_room_has_its_own()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([ben]);
        var settings = await ReadAsync(anna);
        Assert.Equal(new NotificationSettings(), settings.Everywhere);
        Assert.Empty(settings.Rooms);
        Assert.False(settings.Push.Registered);

        await PutAsync(anna, "", Night);
        await PutAsync(anna, $"/rooms/{room.Id}", new(Muted: true));
        settings = await ReadAsync(anna);
        Assert.Equal(Night, settings.Everywhere);
        Assert.Equal([KeyValuePair.Create(room.Id, new NotificationSettings(Muted: true))], settings.Rooms);
        Assert.Empty((await ReadAsync(ben)).Rooms);

        await PutAsync(anna, "", new());
        await PutAsync(anna, $"/rooms/{room.Id}", Night);
        settings = await ReadAsync(anna);
        Assert.Equal((new NotificationSettings(), Night), (settings.Everywhere, settings.Rooms[room.Id]));
        for (var i = 0; i < 2; i++)
            (await anna.Http.DeleteAsync($"/v1/me/settings/rooms/{room.Id}")).EnsureSuccessStatusCode();
        Assert.Empty((await ReadAsync(anna)).Rooms);
    }

    [Fact]
    public async Task Only_members_have_settings_of_a_room_and_leaving_deletes_them()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        await using var carl = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([ben]);
        foreach (var id in new[] { room.Id, Guid.NewGuid() })
        {
            await (await carl.Http.PutAsJsonAsync($"/v1/me/settings/rooms/{id}", Night, Wire.Json)).ReadErrorAsync(404, ErrorCode.NotFound);
            await (await carl.Http.DeleteAsync($"/v1/me/settings/rooms/{id}")).ReadErrorAsync(404, ErrorCode.NotFound);
        }

        await PutAsync(ben, $"/rooms/{room.Id}", Night);
        (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{ben.Id}")).EnsureSuccessStatusCode();
        Assert.Empty((await ReadAsync(ben)).Rooms);
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from room_notification_settings where room_id = @Id", new { room.Id }));
    }

    [Theory]
    [InlineData("Asia/Calcutta", "Asia/Kolkata")]
    [InlineData("Asia/Katmandu", "Asia/Kathmandu")]
    [InlineData("Asia/Rangoon", "Asia/Yangon")]
    [InlineData("Asia/Saigon", "Asia/Ho_Chi_Minh")]
    [InlineData("America/Buenos_Aires", "America/Argentina/Buenos_Aires")]
    [InlineData("America/Indianapolis", "America/Indiana/Indianapolis")]
    [InlineData("America/Louisville", "America/Kentucky/Louisville")]
    [InlineData("America/Godthab", "America/Nuuk")]
    [InlineData("Atlantic/Faeroe", "Atlantic/Faroe")]
    [InlineData("Europe/Kiev", "Europe/Kyiv")]
    [InlineData("Pacific/Enderbury", "Pacific/Kanton")]
    [InlineData("Pacific/Truk", "Pacific/Port_Moresby")]
    [InlineData("Africa/Asmera", "Africa/Nairobi")]
    public void A_time_zone_is_found_by_its_old_and_new_name(string old, string current)
    {
        foreach (var (asked, known) in new[] { (old, current), (current, old), (old, old), (current, current) })
        {
            var zone = TimeZoneInfo.CreateCustomTimeZone(known, TimeSpan.FromHours(1), known, known);
            Assert.Same(zone, TimeZones.Find(asked, name => name == known ? zone : null));
        }

        Assert.Null(TimeZones.Find("Mars/Olympus", _ => null));
    }

    [Theory]
    [InlineData("""{"quietFrom":1}""")]
    [InlineData("""{"quietFrom":1,"quietUntil":2}""")]
    [InlineData("""{"timeZone":"UTC"}""")]
    [InlineData("""{"quietFrom":-1,"quietUntil":2,"timeZone":"UTC"}""")]
    [InlineData("""{"quietFrom":1,"quietUntil":1440,"timeZone":"UTC"}""")]
    [InlineData("""{"quietFrom":1,"quietUntil":1,"timeZone":"UTC"}""")]
    [InlineData("""{"quietFrom":1,"quietUntil":2,"timeZone":"Mars/Olympus"}""")]
    [InlineData("""{"quietFrom":1,"quietUntil":2,"timeZone":"../../../etc/passwd"}""")]
    [InlineData("""{"quietFrom":1,"quietUntil":2,"timeZone":"/etc/localtime"}""")]
    [InlineData("""{"quietFrom":1,"quietUntil":2,"timeZone":""}""")]
    [InlineData("""{"priority":"urgent"}""")]
    [InlineData("""{"priority":1}""")]
    [InlineData("""{"muted":"yes"}""")]
    public async Task Invalid_settings_are_rejected(string body)
    {
        await using var anna = await server.SignUpAsync();
        using var content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        await (await anna.Http.PutAsync("/v1/me/settings", content)).ReadErrorAsync(400, ErrorCode.Invalid);
    }

    [Fact]
    public async Task GraphQL_has_the_same_settings()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        await anna.Http.AskAsync("mutation { changeSettings(settings: {quietFrom: 60, quietUntil: 120, timeZone: \"UTC\", priority: HIGH}) }");
        await anna.Http.AskAsync("mutation($r: ID!) { changeSettingsOfRoom(roomId: $r, settings: {muted: true}) }", new { r = room.Id });
        var settings = await ReadAsync(anna);
        Assert.Equal(new NotificationSettings(false, 60, 120, "UTC", NotificationPriority.High), settings.Everywhere);
        Assert.True(settings.Rooms[room.Id].Muted);
        var read = (await anna.Http.AskAsync(
            "{ settings { everywhere { muted quietFrom timeZone priority } rooms { roomId settings { muted } } push { publicKey registered } } }"))
                .GetProperty("settings");
        Assert.Equal("HIGH", read.GetProperty("everywhere").GetProperty("priority").GetString());
        Assert.Equal(room.Id, read.GetProperty("rooms")[0].GetProperty("roomId").GetGuid());
        Assert.Equal(settings.Push.PublicKey, read.GetProperty("push").GetProperty("publicKey").GetString());
        await anna.Http.AskAsync("mutation($r: ID!) { resetSettingsOfRoom(roomId: $r) }", new { r = room.Id });
        Assert.Empty((await ReadAsync(anna)).Rooms);
        Assert.Equal(ErrorCode.Invalid, await anna.Http.RefusalAsync("mutation { changeSettings(settings: {quietFrom: 60}) }"));
        Assert.Equal(ErrorCode.NotFound, await anna.Http.RefusalAsync("mutation($r: ID!) { resetSettingsOfRoom(roomId: $r) }", new { r = Guid.NewGuid() }));
        Assert.Equal(ErrorCode.Unauthenticated, await server.Http.RefusalAsync("{ settings { push { registered } } }"));
        Assert.Equal(ErrorCode.Invalid, await anna.Http.RefusalAsync("mutation { registerPush(endpoint: \"http://push.example.org/1\") }"));
        await anna.Http.AskAsync("mutation { registerPush(endpoint: \"https://push.example.org/1\") }");
        Assert.True((await ReadAsync(anna)).Push.Registered);
        await anna.Http.AskAsync("mutation { unregisterPush }");
        Assert.False((await ReadAsync(anna)).Push.Registered);
    }

    private static async Task<AccountSettings> ReadAsync(TestUser user) => (await user.Http.GetFromJsonAsync<AccountSettings>("/v1/me/settings", Wire.Json))!;

    private static async Task PutAsync(TestUser user, string path, NotificationSettings settings) =>
        Assert.Equal(204, (int)(await user.Http.PutAsJsonAsync($"/v1/me/settings{path}", settings, Wire.Json)).StatusCode);
}

public sealed class SettingsTestsOnSqlite(SqliteServer server) : SettingsTests(server)
{
    [Trait("Ring", "Full")]
    [Fact]
    public async Task Quiet_hours_work_on_a_machine_without_old_zone_names()
    {
        using var zones = new TestDirectory();
        foreach (var name in new[] { "Asia/Kolkata", "Europe/Kyiv", "Asia/Ho_Chi_Minh", "America/Argentina/Buenos_Aires", "UTC" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(zones.Combine(name))!);
            File.Copy(Path.Combine("/usr/share/zoneinfo", name), zones.Combine(name));
        }

        using var directory = new TestDirectory();
        await using var process = new ServerProcess(directory.Path);
        process.Environment["TZDIR"] = zones.Path;
        await process.StartAsync();
        await using var user = await TestPeople.SignUpAsync(process.Url);
        foreach (var name in new[] { "Asia/Calcutta", "Europe/Kiev", "Asia/Saigon", "America/Buenos_Aires" })
        {
            using var set = await user.Http.PutAsJsonAsync("/v1/me/settings", new NotificationSettings(QuietFrom: 1, QuietUntil: 2, TimeZone: name), Wire.Json);
            Assert.Equal(204, (int)set.StatusCode);
            // The name is unchanged: the browser knows it.
            Assert.Equal(name, (await user.Http.GetFromJsonAsync<AccountSettings>("/v1/me/settings", Wire.Json))!.Everywhere.TimeZone);
        }

        using var unknown = await user.Http.PutAsJsonAsync(
            "/v1/me/settings", new NotificationSettings(QuietFrom: 1, QuietUntil: 2, TimeZone: "Europe/Vienna"), Wire.Json);
        await unknown.ReadErrorAsync(400, ErrorCode.Invalid);
    }
}

public sealed class SettingsTestsOnPostgres(PostgresServer server) : SettingsTests(server);
