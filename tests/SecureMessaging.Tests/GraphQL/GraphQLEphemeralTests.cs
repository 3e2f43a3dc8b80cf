using GraphQL.Types;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>What the hub offers beside the log, through the third door: signals and what devices should look after.</summary>
public abstract class GraphQLEphemeralTests(TestServer server)
{
    private const string Signals = "subscription($r: ID) { signals(roomId: $r) { roomId signal } }";
    private const string Notices = "subscription { deviceNotices { deviceId kind available } }";

    /// <summary>What the hub's clients are told, and by which subscription, or other part of the protocol, GraphQL tells it.</summary>
    private static readonly Dictionary<string, string> Pushes = new(StringComparer.Ordinal)
    {
        [nameof(IChatClient.Received)] = "entries",
        [nameof(IChatClient.Signaled)] = "signals",
        [nameof(IChatClient.RoomChanged)] = "roomChanges",
        [nameof(IChatClient.KeyPackagesLow)] = "deviceNotices",
        [nameof(IChatClient.WelcomesWaiting)] = "deviceNotices",
        // The server reads the log for a slow socket itself; an ended session and a node that stops close the socket with a code of their own.
        [nameof(IChatClient.Resync)] = "",
        [nameof(IChatClient.SessionEnded)] = "",
        [nameof(IChatClient.Draining)] = "",
    };

    private static readonly Dictionary<string, string> HubCalls = new(StringComparer.Ordinal)
    {
        [nameof(IChatHub.Send)] = "send",
        [nameof(IChatHub.SendBatch)] = "sendBatch",
        [nameof(IChatHub.Retract)] = "retract",
        [nameof(IChatHub.Signal)] = "signal",
        [nameof(IChatHub.MarkDelivered)] = "markDelivered",
        // The field log of a room, and its heads.
        [nameof(IChatHub.Sync)] = "room",
        [nameof(IChatHub.Heads)] = "rooms",
    };

    [Fact]
    public void Everything_that_the_hub_offers_is_here()
    {
        var schema = server.Services.GetRequiredService<ISchema>();
        schema.Initialize();
        Assert.Equal(typeof(IChatClient).GetMethods().Select(method => method.Name).Order(), Pushes.Keys.Order());
        Assert.Equal(typeof(IChatHub).GetMethods().Select(method => method.Name).Order(), HubCalls.Keys.Order());
        Assert.Empty(Pushes.Values.Where(name => name.Length > 0).Except(schema.Subscription!.Fields.Select(field => field.Name)));
        Assert.Empty(HubCalls.Values.Except(schema.Mutation!.Fields.Concat(schema.Query.Fields).Select(field => field.Name)));
    }

    [Fact]
    public async Task Signals_reach_members_by_either_door_and_end_with_the_membership()
    {
        var users = await server.SignUpAsync(3);
        var (room, other) = (await users[0].CreateRoomAsync([users[1]]), await users[0].CreateRoomAsync([users[1]]));
        var hub = await users[0].ConnectAsync();
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, users[1].Tokens.AccessToken);
        var (one, all) = (await socket.SubscribeAsync(Signals, new { r = room.Id }), await socket.SubscribeAsync(Signals));
        await using var strangers = await GraphQLTestSocket.ConnectAsync(server.Url, users[2].Tokens.AccessToken);
        var refused = await (await strangers.SubscribeAsync(Signals, new { r = room.Id })).ErrorAsync();
        Assert.Equal("NotFound", refused[0].GetProperty("extensions").GetProperty("code").GetString());
        var nothing = await strangers.SubscribeAsync(Signals);

        // A subscription is not acknowledged: it has begun once it hears what is said again and again.
        while (!one.HasEvent || !all.HasEvent)
            await hub.SignalAsync(room.Id, [7]);
        var heard = (await one.NextAsync()).GetProperty("signals");
        Assert.Equal((room.Id, "Bw=="), (heard.GetProperty("roomId").GetGuid(), heard.GetProperty("signal").GetString()));
        await users[0].Http.AskAsync("mutation($r: ID!) { signal(roomId: $r, signal: \"CQ==\") }", new { r = other.Id });
        while ((await all.NextAsync()).GetProperty("signals").GetProperty("signal").GetString() != "CQ==")
        {
            // Those of the other room, from before.
        }

        await GraphQLSubscriptionTests.RemoveAsync(users[0], room.Id, users[1].Id);
        await one.CompletedAsync();
        // Of all rooms it goes on, and the room that was left is silent.
        await hub.SignalAsync(room.Id, [8]);
        await hub.SignalAsync(other.Id, [10]);
        string? signal;
        while ((signal = (await all.NextAsync()).GetProperty("signals").GetProperty("signal").GetString()) != "Cg==")
            Assert.NotEqual("CA==", signal);
        Assert.False(nothing.HasEvent);
    }

    [Fact]
    public async Task Devices_hear_of_an_empty_stock_and_of_welcomes()
    {
        var users = await server.SignUpAsync(2);
        using var device = await users[1].AddDeviceAsync();
        await device.StockUpAsync(4);
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, users[1].Tokens.AccessToken);
        var notices = await socket.SubscribeAsync(Notices);
        var packages = new List<byte[]>();
        while (!notices.HasEvent && packages.Count < 4)
        {
            packages.Add((await users[0].ClaimAsync(users[1])).Single().KeyPackage);
            for (var patience = 0; patience < 100 && !notices.HasEvent; patience++)
                await Task.Delay(10);
        }

        var low = (await notices.NextAsync()).GetProperty("deviceNotices");
        Assert.Equal((device.Id, "KEY_PACKAGES_LOW"), (low.GetProperty("deviceId").GetGuid(), low.GetProperty("kind").GetString()));
        Assert.InRange(low.GetProperty("available").GetInt32(), 0, 3);
        var room = await users[0].CreateMlsRoomAsync(users[1]);
        await users[0].CommitAsync(room.Id, 0, welcomes: [TestMls.Welcome(packages[0])]);
        System.Text.Json.JsonElement notice;
        do
            notice = (await notices.NextAsync()).GetProperty("deviceNotices");
        while (notice.GetProperty("kind").GetString() != "WELCOMES_WAITING");
        Assert.Equal(device.Id, notice.GetProperty("deviceId").GetGuid());
        Assert.Equal(System.Text.Json.JsonValueKind.Null, notice.GetProperty("available").ValueKind);
    }
}

public sealed class GraphQLEphemeralTestsOnSqlite(SqliteServer server) : GraphQLEphemeralTests(server);

public sealed class GraphQLEphemeralTestsOnPostgres(PostgresServer server) : GraphQLEphemeralTests(server);
