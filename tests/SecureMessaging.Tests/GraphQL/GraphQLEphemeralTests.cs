using GraphQL.Types;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>Events of the hub that are not in the log, over GraphQL: signals and device hints.</summary>
public abstract class GraphQLEphemeralTests(TestServer server)
{
    private const string Signals = "subscription($r: ID) { signals(roomId: $r) { roomId signal } }";
    private const string Notices = "subscription { deviceNotices { deviceId kind available } }";

    /// <summary>The hub's calls on clients, and the subscription or protocol part that replaces each in GraphQL.</summary>
    private static readonly Dictionary<string, string> Pushes = new(StringComparer.Ordinal)
    {
        [nameof(IChatClient.Received)] = "entries",
        [nameof(IChatClient.Signaled)] = "signals",
        [nameof(IChatClient.RoomChanged)] = "roomChanges",
        [nameof(IChatClient.KeyPackagesLow)] = "deviceNotices",
        [nameof(IChatClient.WelcomesWaiting)] = "deviceNotices",
        // The server reads the log for a slow socket itself. The end of a session and a stopping node close the socket with their own codes.
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
        // A room's field log, and its heads.
        [nameof(IChatHub.Sync)] = "room",
        [nameof(IChatHub.Heads)] = "rooms",
    };

    [Fact]
    public void GraphQL_offers_every_hub_event()
    {
        var schema = server.Services.GetRequiredService<ISchema>();
        schema.Initialize();
        Assert.Equal(typeof(IChatClient).GetMethods().Select(method => method.Name).Order(), Pushes.Keys.Order());
        Assert.Equal(typeof(IChatHub).GetMethods().Select(method => method.Name).Order(), HubCalls.Keys.Order());
        Assert.Empty(Pushes.Values.Where(name => name.Length > 0).Except(schema.Subscription!.Fields.Select(field => field.Name)));
        Assert.Empty(HubCalls.Values.Except(schema.Mutation!.Fields.Concat(schema.Query.Fields).Select(field => field.Name)));
    }

    [Fact]
    public async Task Signals_reach_members_through_both_doors_and_end_with_the_membership()
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

        // A subscription has no acknowledgement: it has begun once a repeated signal arrives.
        while (!one.HasEvent || !all.HasEvent)
            await hub.SignalAsync(room.Id, [7]);
        var received = (await one.NextAsync()).GetProperty("signals");
        Assert.Equal((room.Id, "Bw=="), (received.GetProperty("roomId").GetGuid(), received.GetProperty("signal").GetString()));
        await users[0].Http.AskAsync("mutation($r: ID!) { signal(roomId: $r, signal: \"CQ==\") }", new { r = other.Id });
        while ((await all.NextAsync()).GetProperty("signals").GetProperty("signal").GetString() != "CQ==")
        {
            // Earlier signals of the other room.
        }

        await users[0].RemoveMemberAsync(room.Id, users[1]);
        await one.CompletedAsync();
        // The subscription to all rooms continues, and the left room is silent.
        await hub.SignalAsync(room.Id, [8]);
        await hub.SignalAsync(other.Id, [10]);
        string? signal;
        while ((signal = (await all.NextAsync()).GetProperty("signals").GetProperty("signal").GetString()) != "Cg==")
            Assert.NotEqual("CA==", signal);
        Assert.False(nothing.HasEvent);
    }

    [Fact]
    public async Task Devices_get_hints_about_a_low_stock_and_Welcomes()
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
