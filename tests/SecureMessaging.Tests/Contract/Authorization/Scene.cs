using System.Buffers.Text;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Tests.Admin;
using SecureMessaging.Tests.Auth;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract.Authorization;

/// <summary>The people of the table; each cell gets an unused session and room.</summary>
internal sealed partial class Scene : IAsyncDisposable
{
    public static readonly string[] Callers = ["anonymous", "expired", "audience", "stranger", "ex-member", "member", "admin", "owner", "operator", "disabled"];

    private readonly TestServer server;
    private readonly Dictionary<string, Person> people;
    private readonly Dictionary<(string Caller, Type Hub), (HubConnection? Hub, string Refusal)> hubs = [];
    private readonly Dictionary<string, (GraphQLTestSocket? Socket, string Refusal)> sockets = [];

    private Scene(TestServer server, Dictionary<string, Person> people, Person target, Person bystander) =>
        (this.server, this.people, Target, Bystander) = (server, people, target, bystander);

    /// <summary>A member of every room, with a device: the owner of others' objects.</summary>
    public Person Target { get; }

    /// <summary>A member of no room.</summary>
    public Person Bystander { get; }

    public HttpClient Http => server.Http;

    public TestServer Server => server;

    /// <summary>The room that all readers share, created by the first of them, and an entry in it.</summary>
    public (Guid RoomId, long Seq)? Readings { get; set; }

    public static async Task<Scene> CreateAsync(TestServer server)
    {
        var byCaller = new Dictionary<string, Person>(StringComparer.Ordinal);
        foreach (var name in new[] { "stranger", "ex-member", "member", "admin", "owner", "disabled" })
            byCaller[name] = new Person(await server.SignUpAsync());
        byCaller["operator"] = new Person(await server.SignUpAdminAsync(), IsOperator: true);
        var target = new Person(await server.SignUpAsync());
        target.Device = new TestDevice(target.User, target.Identity, target.User.Http);
        await target.Device.RegisterAsync();
        await target.Device.StockUpAsync(50, lastResort: true);
        // Every person has a room, so that subscriptions to all rooms have events.
        foreach (var person in byCaller.Values)
            await person.User.CreateRoomAsync([]);
        using var disabled = await byCaller["operator"].User.Http.PostAsync($"/v1/admin/users/{byCaller["disabled"].User.Username}/disable", null);
        disabled.EnsureSuccessStatusCode();
        return new Scene(server, byCaller, target, new Person(await server.SignUpAsync()));
    }

    /// <summary>Executes one cell: <c>ok</c>, or the status of the error.</summary>
    public async Task<string> TryAsync(Operation operation, bool others, string caller)
    {
        await using var cell = await CreateCellAsync(operation, others, caller);
        return operation switch
        {
            RestOperation rest => await TryAsync(rest, cell),
            HubOperation hub => await TryAsync(hub, cell),
            GraphQLOperation { Root: "subscription" } subscription => await SubscribeAsync(subscription, cell),
            GraphQLOperation field => await TryAsync(field, cell),
            _ => throw new InvalidOperationException("There is no such door."),
        };
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (hub, _) in hubs.Values)
            await (hub?.DisposeAsync() ?? ValueTask.CompletedTask);
        foreach (var (socket, _) in sockets.Values)
            await (socket?.DisposeAsync() ?? ValueTask.CompletedTask);
        foreach (var person in people.Values.Append(Target).Append(Bystander))
            await person.DisposeAsync();
    }

    private async Task<string> TryAsync(RestOperation operation, Cell cell)
    {
        var path = operation.Path;
        foreach (var name in operation.Route)
            path = path.Replace($"{{{name}}}", Uri.EscapeDataString(Calls.Value(operation, name, cell)?.ToString() ?? ""), StringComparison.Ordinal)
                .Replace($"/{{{name}?}}", "", StringComparison.Ordinal);
        using var response = await server.Http.SendAsync(new HttpMethod(operation.Method), path
            + Calls.Query(operation), cell.Token, operation.Method is "GET" or "DELETE" ? null : Calls.Body(operation, cell));
        if (!response.IsSuccessStatusCode)
            return ((int)response.StatusCode).ToString();
        return operation.Path.EndsWith("/batch", StringComparison.Ordinal)
            ? OfBatch(JsonSerializer.Deserialize<JsonElement>(await response.Content.ReadAsStringAsync())) : "ok";
    }

    /// <summary>Parts of a batch succeed or fail one by one.</summary>
    private static string OfBatch(JsonElement results) =>
        results[0].TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.Object ? Status(Code(error.GetProperty("code").GetString()!))
            : "ok";

    /// <summary>A code as a GraphQL enum value, or as in the other doors.</summary>
    private static string Code(string name) => name.Contains('_', StringComparison.Ordinal) || name.All(char.IsUpper)
        ? name.Replace("_", "", StringComparison.Ordinal) : name;

    private async Task<string> TryAsync(GraphQLOperation operation, Cell cell)
    {
        var (query, variables) = Calls.Document(operation, cell);
        using var response = await server.Http.SendAsync(HttpMethod.Post, "/graphql", cell.Token, new { query, variables });
        var reply = JsonSerializer.Deserialize<JsonElement>(await response.Content.ReadAsStringAsync());
        return operation.Field.Name == "sendBatch" && Read(reply) == "ok" ? OfBatch(reply.GetProperty("data").GetProperty("sendBatch")) : Read(reply);
    }

    private static string Read(JsonElement reply) => reply.TryGetProperty("errors", out var errors)
        ? Status(errors[0].GetProperty("extensions").GetProperty("code").GetString()!) : "ok";

    private async Task<string> TryAsync(HubOperation operation, Cell cell)
    {
        if (!hubs.TryGetValue((cell.Caller, operation.Hub), out var known))
            hubs[(cell.Caller, operation.Hub)] = known = await ConnectAsync(operation.Hub, cell);
        if (known.Hub is null)
            return known.Refusal;
        try
        {
            var result = await known.Hub.InvokeCoreAsync(operation.Method.Name, typeof(object), Calls.Arguments(operation, cell));
            return result is JsonElement { ValueKind: JsonValueKind.Array } results && operation.Method.ReturnType == typeof(Task<SendResult[]>)
                ? OfBatch(results) : "ok";
        }
        catch (HubException exception)
        {
            return HubError.From(exception) is HubError error ? Status(error.Body.Code.ToString()) : exception.Message;
        }
    }

    private async Task<(HubConnection? Hub, string Refusal)> ConnectAsync(Type hub, Cell cell)
    {
        var connection = new HubConnectionBuilder().WithUrl(new Uri(server.Url, hub.Name == "AdminHub" ? Wire.AdminHubPath : Wire.HubPath), options =>
        {
            options.SkipNegotiation = true;
            options.Transports = HttpTransportType.WebSockets;
            options.AccessTokenProvider = () => Task.FromResult(cell.Token);
        }).AddJsonProtocol(options => Wire.Configure(options.PayloadSerializerOptions)).Build();
        try
        {
            await connection.StartAsync();
            cell.KeepSession();
            return (connection, "");
        }
        catch (WebSocketException exception)
        {
            await connection.DisposeAsync();
            // The client reports the status of a rejected upgrade only in its message.
            return (null, UpgradeStatus().Match(exception.Message) is { Success: true } status ? status.Groups["code"].Value : exception.Message);
        }
    }

    private async Task<string> SubscribeAsync(GraphQLOperation operation, Cell cell)
    {
        if (!sockets.TryGetValue(cell.Caller, out var known))
            sockets[cell.Caller] = known = await ConnectAsync(cell);
        if (known.Socket is null)
            return known.Refusal;
        var (query, variables) = Calls.Document(operation, cell);
        var subscription = await known.Socket.SubscribeAsync(query, variables);
        for (var patience = 0; patience < 400 && !subscription.HasEvent && !subscription.Error.Task.IsCompleted
            && !subscription.Completed.Task.IsCompleted; patience++)
        {
            // Ephemeral events are repeated until one arrives.
            await Calls.PokeAsync(this, cell);
            await Task.Delay(10);
        }

        await known.Socket.SendAsync(new { type = "complete", id = subscription.Id });
        if (subscription.Error.Task.IsCompleted)
            return Status((await subscription.Error.Task)[0].GetProperty("extensions").GetProperty("code").GetString()!);
        return subscription.HasEvent ? Read(await subscription.PayloadAsync()) : "silence";
    }

    private async Task<(GraphQLTestSocket? Socket, string Refusal)> ConnectAsync(Cell cell)
    {
        var socket = await GraphQLTestSocket.OpenAsync(server.Url);
        await socket.SendAsync(
            cell.Token is null ? new { type = "connection_init" } : (object)new { type = "connection_init", payload = new { accessToken = cell.Token } });
        if (await Task.WhenAny(socket.Acknowledged.Task, socket.Closed.Task) == socket.Acknowledged.Task)
        {
            cell.KeepSession();
            return (socket, "");
        }

        var code = await socket.ClosedAsync();
        await socket.DisposeAsync();
        // In this subprotocol 4401 and 4403 mean HTTP's 401; they tell a client whether to reconnect.
        return (null, code is 4401 or 4403 ? "401" : code.ToString() ?? "broken");
    }

    [GeneratedRegex("status code '(?<code>[0-9]{3})' when", RegexOptions.ExplicitCapture, 10_000)]
    private static partial Regex UpgradeStatus();

    private static string Status(string code) => ProblemMapper.Status(Enum.Parse<ErrorCode>(code, ignoreCase: true)).ToString();

    private async Task<Cell> CreateCellAsync(Operation operation, bool others, string caller)
    {
        var person = people.GetValueOrDefault(caller) ?? Bystander;
        if (Calls.EndsEverything.Contains(operation.Name) && caller is not "disabled")
            person = new Person(await server.SignUpAsync(), IsOperator: caller == "operator");
        var cell = new Cell(this, caller, person, others) { Grant = await StartSessionAsync(person) };
        if (caller is not ("anonymous" or "disabled"))
            cell.Token = Token(person, cell.Grant, caller);
        else if (caller == "disabled")
            (cell.Token, cell.Grant) = (person.User.Tokens.AccessToken, cell.Grant with { RefreshToken = person.User.Tokens.RefreshToken });
        await cell.PrepareAsync(operation, people["owner"].User, people["member"].User, people["admin"].User, people["ex-member"].User);
        return cell;
    }

    public Task<Grant> StartSessionAsync(Person person) => server.Database.WriteAsync(
        transaction => server.Services.GetRequiredService<SessionStore>().StartAsync(transaction, person.User.Id, CancellationToken.None),
        CancellationToken.None);

    /// <summary>Valid tokens of valid sessions, and two with a valid signature and wrong claims.</summary>
    private string Token(Person person, Grant grant, string caller)
    {
        var token = server.Services.GetRequiredService<AccessTokens>()
            .Issue(new Caller(grant.UserId, grant.SessionId), person.IsOperator, grant.ExpiresAt).Token;
        if (caller is not ("expired" or "audience"))
            return token;
        var parts = token.Split('.');
        var payload = JsonNode.Parse(Base64Url.DecodeFromChars(parts[1]))!.AsObject();
        if (caller == "expired")
            payload["exp"] = TimeProvider.System.GetUtcNow().AddHours(-1).ToUnixTimeSeconds();
        else
            payload["aud"] = "another";
        var unsigned = $"{parts[0]}.{Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(payload))}";
        var key = server.Services.GetRequiredService<KeyRing>().Current.Key.ECDsa;
        return $"{unsigned}.{Base64Url.EncodeToString(key.SignData(Encoding.ASCII.GetBytes(unsigned), HashAlgorithmName.SHA256))}";
    }
}

/// <summary>A person of the scene.</summary>
internal sealed record Person(TestUser User, bool IsOperator = false) : IAsyncDisposable
{
    /// <summary>Shared by all devices of this person.</summary>
    public NSec.Cryptography.Key Identity { get; } = TestDevice.NewKey();

    public TestDevice? Device { get; set; }

    /// <summary>The person's first device list. Publishing it again gets the same answer.</summary>
    public byte[] FirstList => field ??= ListContent.First(User, ListedKeys.New(), Identity).Encode();

    public async ValueTask DisposeAsync()
    {
        Device?.Dispose();
        Identity.Dispose();
        await User.DisposeAsync();
    }
}
