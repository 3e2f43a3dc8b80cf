using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using SecureMessaging.Client;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract;

/// <summary>
/// Each setting of a room is written through each door, alone, and read through every door. The settings are found by reflection, so a new one is tested too.
/// </summary>
public abstract class EveryDoorTests(TestServer server)
{
    public static MatrixTheoryData<string, string> SettingsAndDoors => new(RoomDoors.Settings, RoomDoors.Names);

    [Theory, MemberData(nameof(SettingsAndDoors))]
    public async Task A_setting_that_is_changed_alone_is_seen_through_every_door(string setting, string door)
    {
        await using var anna = await server.SignUpAsync();
        await using var doors = await RoomDoors.OpenAsync(anna);
        var expected = RoomDoors.SomeSettings(1);
        var roomId = await doors.CreateAsync(door, expected);
        foreach (var (reader, settings) in await doors.ReadRoomAsync(roomId))
            Assert.Equal($"{reader}: {expected.ToJsonString()}", $"{reader}: {settings}");
        // First another value, then none. The other settings stay.
        foreach (var value in new[] { RoomDoors.SomeSettings(2)[setting], null })
        {
            await doors.ChangeAsync(door, roomId, new JsonObject { [setting] = value?.DeepClone() });
            expected[setting] = value?.DeepClone();
            foreach (var (reader, settings) in (await doors.ReadRoomAsync(roomId)).Concat(await doors.ReadLogAsync(roomId)))
                Assert.Equal($"{reader}: {expected.ToJsonString()}", $"{reader}: {settings}");
        }
    }

    [Theory, MemberData(nameof(SettingsAndDoors))]
    public async Task A_setting_beyond_its_documented_bounds_is_rejected(string setting, string door)
    {
        await using var anna = await server.SignUpAsync();
        await using var doors = await RoomDoors.OpenAsync(anna);
        var schemas = (await anna.Http.GetFromJsonAsync<JsonObject>("/openapi/v1.json"))!["components"]!["schemas"]!;
        var roomId = await doors.CreateAsync(door, []);
        foreach (var request in new[] { nameof(CreateRoomRequest), nameof(ChangeRoomRequest) })
        {
            var (within, beyond) = Edges(schemas[request]!["properties"]![setting]!.AsObject(), $"{request}.{setting}");
            foreach (var value in within)
                await SetAsync(request, value);
            foreach (var value in beyond)
            {
                var refusal = await Assert.ThrowsAsync<SecureMessagingException>(() => SetAsync(request, value));
                Assert.True(refusal.ErrorCode is ErrorCode.TooLarge or ErrorCode.Invalid, refusal.Message);
            }
        }

        Task SetAsync(string request, JsonNode value) => request == nameof(CreateRoomRequest)
            ? doors.CreateAsync(door, new JsonObject { [setting] = value.DeepClone() })
            : doors.ChangeAsync(door, roomId, new JsonObject { [setting] = value.DeepClone() });
    }

    [Fact]
    public async Task A_new_room_has_each_member_of_the_request()
    {
        await using var anna = await server.SignUpAsync();
        var request = RoomDoors.SomeSettings(1);
        var founding = TestTrust.Founding(anna);
        foreach (var (name, value) in new (string, JsonNode)[]
        {
            ("kind", "group"), ("members", new JsonArray()), ("visible", true), ("id", TestTrust.RoomIdOf(founding).ToString()), ("scheme", Schemes.Mls10),
            ("founding", Convert.ToBase64String(founding)), ("userIds", new JsonArray()),
        })
            request[name] = value;
        Assert.Equal(RoomDoors.NamesOf(typeof(CreateRoomRequest)).Order(), request.Select(member => member.Key).Order());
        using var response = await anna.Http.PostAsync("/v1/rooms", JsonContent.Create(request));
        var created = JsonNode.Parse(await response.EnsureSuccessStatusCode().Content.ReadAsStringAsync())!;
        var room = await anna.Http.GetFromJsonAsync<JsonObject>($"/v1/rooms/{request["id"]}");
        foreach (var (name, value) in request.Where(member => member.Key is not ("members" or "userIds")))
        {
            Assert.Equal((name, value!.ToJsonString()), (name, created[name]?.ToJsonString()));
            Assert.Equal((name, value.ToJsonString()), (name, room![name]?.ToJsonString()));
        }
    }

    /// <summary>The values at the bounds of a schema, and the first ones beyond them.</summary>
    private static (JsonNode[] Within, JsonNode[] Beyond) Edges(JsonObject schema, string member)
    {
        if ((int?)schema["maxLength"] is { } length)
        {
            // A base64 text has four characters for each three bytes or less.
            return (string?)schema["contentEncoding"] == "base64"
                ? ([Convert.ToBase64String(new byte[(length / 4 * 3) - 2])], [Convert.ToBase64String(new byte[(length / 4 * 3) + 1])])
                : ([new string('a', length)], [new string('a', length + 1)]);
        }
        Assert.True(schema["minimum"] is not null && schema["maximum"] is not null, $"{member} has no bounds: add them to OpenApi/SchemaDocs.cs.");
        var (least, most) = ((long)schema["minimum"]!, (long)schema["maximum"]!);
        return ([least, most], [least - 1, most + 1]);
    }
}

public sealed class EveryDoorTestsOnSqlite(SqliteServer server) : EveryDoorTests(server);

public sealed class EveryDoorTestsOnPostgres(PostgresServer server) : EveryDoorTests(server);

/// <summary>The TypeScript SDK has types of its own for what the server sends.</summary>
public sealed partial class TypeScriptContractTests
{
    public static TheoryData<string, string> Records => new()
    {
        { nameof(Room), "RoomSummary" }, { nameof(RoomHead), nameof(RoomHead) }, { nameof(LogEntry), nameof(LogEntry) },
        { nameof(RoomSettings), "WireSettings" }, { nameof(LogPage), nameof(LogPage) }, { nameof(SendAck), nameof(SendAck) }, { nameof(Device), "WireDevice" },
        { nameof(TokenResponse), nameof(TokenResponse) },
    };

    [Theory]
    [MemberData(nameof(Records))]
    public void The_interface_has_each_member_of_the_record(string record, string @interface)
    {
        var text = File.ReadAllText(Repository.PathOf("src", "web", "sdk", "src", "net", "wire.ts"));
        var members = typeof(Room).Assembly.GetType($"SecureMessaging.Protocol.{record}")!.GetProperties()
            .Select(property => JsonNamingPolicy.CamelCase.ConvertName(property.Name));
        Assert.Empty(members.Except(MembersOf(text, @interface)).Select(member => $"{@interface}.{member}"));
    }

    private static IEnumerable<string> MembersOf(string text, string @interface)
    {
        var declaration = Regex.Match(text, $@"^export interface {@interface}( extends (?<base>\w+))? {{\n(?<body>(.*\n)*?)}}", RegexOptions.Multiline);
        Assert.True(declaration.Success, $"wire.ts has no interface {@interface}.");
        var members = Member().Matches(declaration.Groups["body"].Value).Select(match => match.Groups["name"].Value);
        return declaration.Groups["base"] is { Success: true, Value: var inherited } ? members.Concat(MembersOf(text, inherited)) : members;
    }

    [GeneratedRegex(@"^\s+(?<name>\w+)\??:", RegexOptions.Multiline | RegexOptions.ExplicitCapture, 1_000)]
    private static partial Regex Member();
}
