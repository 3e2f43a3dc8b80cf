using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using SecureMessaging.Client;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract;

/// <summary>
/// Writes and reads the settings of a room as JSON, through each door and the .NET SDK. A write that is rejected throws <see cref="SecureMessagingException"/>.
/// </summary>
internal sealed class RoomDoors : IAsyncDisposable
{
    private const string Rest = "REST";
    private const string GraphQL = "GraphQL";
    private const string Sdk = ".NET SDK";

    /// <summary>The doors that can write.</summary>
    public static readonly string[] Names = [Rest, GraphQL, Sdk];

    /// <summary>The settings by their names in JSON.</summary>
    public static readonly string[] Settings = NamesOf(typeof(RoomSettings));

    private static readonly string Fields = $"settings {{ {string.Join(' ', Settings)} }}";

    private readonly HttpClient http;
    private readonly SecureMessagingClient sdk;
    private readonly (string Name, TestConnection Connection)[] hubs;

    private RoomDoors(HttpClient http, SecureMessagingClient sdk, (string, TestConnection)[] hubs) => (this.http, this.sdk, this.hubs) = (http, sdk, hubs);

    public static async Task<RoomDoors> OpenAsync(TestUser user) => new(
        user.Http,
        await SecureMessagingClient.SignInAsync(user.Url, user.Username, user.Password, new ClientOptions { Cipher = new SharedKeyCipher() }),
        [("hub with JSON", await user.ConnectAsync()), ("hub with MessagePack", await user.ConnectAsync(messagePack: true))]);

    public ValueTask DisposeAsync() => sdk.DisposeAsync();

    /// <summary>The names in JSON of what a record contains.</summary>
    public static string[] NamesOf(Type record) =>
        [.. record.GetProperties().Where(property => !property.Name.StartsWith("Has", StringComparison.Ordinal)).Select(property => NameOf(property.Name))];

    /// <summary>All settings with a value; another number gives other values.</summary>
    public static JsonObject SomeSettings(byte number) => new(typeof(RoomSettings).GetProperties().Select(property => KeyValuePair.Create(
        NameOf(property.Name),
        property.PropertyType switch
        {
            var type when type == typeof(byte[]) => JsonValue.Create(Convert.ToBase64String([1, 2, number])),
            var type when type == typeof(string) => JsonValue.Create($"value {number}"),
            var type when type == typeof(int?) => (JsonNode?)JsonValue.Create(3600 * number),
            var type when type == typeof(bool?) => JsonValue.Create(number % 2 == 0),
            var type => throw new NotSupportedException($"RoomSettings.{property.Name}: add a value of {type.Name} to this test."),
        })));

    public async Task<Guid> CreateAsync(string door, JsonObject settings)
    {
        var request = (JsonObject)settings.DeepClone();
        (request["kind"], request["members"]) = ("group", new JsonArray());
        switch (door)
        {
            case Rest:
                using (var response = await http.PostAsync("/v1/rooms", JsonContent.Create(request)))
                    return (await WrittenAsync(response)).Id;
            case GraphQL:
                request["kind"] = "GROUP";
                return (await MutateAsync("mutation($input: CreateRoomInput!) { createRoom(input: $input) { id } }", new { input = request }))
                    .GetProperty("createRoom").GetProperty("id").GetGuid();
            default:
                return (await sdk.Rooms.CreateAsync(request.Deserialize<CreateRoomRequest>(Wire.Json)!)).Id;
        }
    }

    /// <summary>Changes the settings that the object has; null clears.</summary>
    public async Task ChangeAsync(string door, Guid roomId, JsonObject change)
    {
        switch (door)
        {
            case Rest:
                using (var response = await http.PatchAsync($"/v1/rooms/{roomId}", JsonContent.Create(change)))
                    await WrittenAsync(response);
                break;
            case GraphQL:
                await MutateAsync(
                    "mutation($id: ID!, $settings: RoomSettingsInput!) { changeRoomSettings(roomId: $id, settings: $settings) { id } }",
                    new { id = roomId, settings = change });
                break;
            default:
                await sdk.Rooms.ChangeAsync(roomId, change.Deserialize<ChangeRoomRequest>(Wire.Json)!);
                break;
        }
    }

    /// <summary>The settings of the room, by the name of the reader.</summary>
    public async Task<List<(string Reader, string Settings)>> ReadRoomAsync(Guid roomId) =>
    [
        ("REST", Pick(await http.GetFromJsonAsync<JsonObject>($"/v1/rooms/{roomId}"))),
        ("REST, list", Pick((await http.GetFromJsonAsync<JsonArray>("/v1/rooms"))!.Single(room => (Guid?)room!["id"] == roomId))),
        ("GraphQL", Pick(Node((
            await http.AskAsync($"query($id: ID!) {{ room(id: $id) {{ {Fields} }} }}", new { id = roomId })).GetProperty("room"))["settings"])),
        (".NET SDK", Pick(JsonSerializer.SerializeToNode(await sdk.Rooms.GetAsync(roomId), Wire.Json))),
    ];

    /// <summary>The settings of the last entry of the room's log, by the name of the reader.</summary>
    public async Task<List<(string Reader, string Settings)>> ReadLogAsync(Guid roomId)
    {
        var rest = (await http.GetFromJsonAsync<JsonObject>($"/v1/rooms/{roomId}/log"))!["entries"]!.AsArray()[^1]!;
        var seq = (long)rest["seq"]!;
        var graphQL = await http.AskAsync(
            $"query($id: ID!) {{ room(id: $id) {{ log(last: 1) {{ nodes {{ {Fields} }} }} }} }}", new { id = roomId });
        var read = new List<(string, string)>
        {
            ("REST, log", Pick(rest["settings"])),
            ("GraphQL, log", Pick(Node(graphQL.GetProperty("room").GetProperty("log").GetProperty("nodes")[0])["settings"])),
        };
        foreach (var (name, hub) in hubs)
        {
            var pushed = await hub.WaitAsync(roomId, entries => entries.Any(entry => entry.Seq == seq));
            read.Add(($"{name}, pushed", Pick(pushed.Single(entry => entry.Seq == seq))));
            read.Add(($"{name}, log", Pick((await hub.SyncAsync(roomId)).Entries[^1])));
        }
        return read;
    }

    private static async Task<Room> WrittenAsync(HttpResponseMessage response)
    {
        if (response.IsSuccessStatusCode)
            return await response.ReadAsync<Room>();
        var problem = await response.Content.ReadFromJsonAsync<JsonObject>();
        throw new SecureMessagingException(new ErrorBody(Enum.Parse<ErrorCode>((string)problem!["code"]!), problem.ToJsonString(), false));
    }

    private async Task<JsonElement> MutateAsync(string mutation, object variables)
    {
        var reply = await http.ReplyAsync(mutation, variables);
        return reply.TryGetProperty("errors", out _)
            ? throw new SecureMessagingException(new ErrorBody(GraphQLCalls.CodeOf(reply), reply.ToString(), false))
            : reply.GetProperty("data");
    }

    private static string Pick(LogEntry entry) => Pick(JsonSerializer.SerializeToNode(entry.Settings, Wire.Json));

    private static string Pick(JsonNode? settings) =>
        new JsonObject(Settings.Select(name => KeyValuePair.Create(name, settings![name]?.DeepClone()))).ToJsonString();

    private static JsonNode Node(JsonElement element) => JsonNode.Parse(element.GetRawText())!;

    private static string NameOf(string property) => JsonNamingPolicy.CamelCase.ConvertName(property);
}
