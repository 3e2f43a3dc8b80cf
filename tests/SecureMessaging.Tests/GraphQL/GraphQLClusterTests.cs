using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Chat;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>Hazard 32 on two nodes: live queries on the node where nobody writes.</summary>
public sealed class GraphQLClusterTests(PostgresServer shared) : IAsyncLifetime
{
    private readonly RedisProcess redis = new();
    private TestServer first = null!;
    private TestServer second = null!;

    public async ValueTask InitializeAsync()
    {
        await redis.StartAsync();
        first = await shared.DedicatedAsync($"--ConnectionStrings:Redis={redis.ConnectionString}");
        second = await first.AnotherNodeAsync($"--ConnectionStrings:Redis={redis.ConnectionString}");
        for (var watch = Stopwatch.StartNew(); !new[] { first, second }.All(node => node.Services.GetRequiredService<NodeBus>().IsHealthy); await Task.Delay(20))
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20), "Waited 20 s in vain.");
    }

    public async ValueTask DisposeAsync()
    {
        await second.DisposeAsync();
        await first.DisposeAsync();
        await redis.DisposeAsync();
    }

    [Fact]
    public async Task Stays_in_a_room_are_seen_exactly_while_others_write_on_the_other_node()
    {
        var users = await first.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([]);
        var writer = await users[0].ConnectAsync();
        await using var socket = await GraphQLTestSocket.ConnectAsync(second.Url, users[1].Tokens.AccessToken);
        var subscription = await socket.SubscribeAsync(GraphQLSubscriptionTests.Rooms, new { after = Array.Empty<object>() });
        using var stop = new CancellationTokenSource();
        var writing = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
                await writer.SendAsync(room.Id, [1]);
        });
        var received = new List<System.Text.Json.JsonElement>();
        for (var round = 0; round < 10; round++)
        {
            await GraphQLSubscriptionTests.AddAsync(users[0], room.Id, users[1].Username);
            received.AddRange(await subscription.EntriesAsync("entries", entries => entries.Any(entry => Is(entry, "MEMBER_JOINED"))));
            await GraphQLSubscriptionTests.RemoveAsync(users[0], room.Id, users[1].Id);
            if (!received.TakeLast(1).Any(entry => Is(entry, "MEMBER_LEFT")))
                received.AddRange(await subscription.EntriesAsync("entries", entries => entries.Any(entry => Is(entry, "MEMBER_LEFT"))));
        }

        await stop.CancelAsync();
        await writing;
        await Task.Delay(500);
        Assert.False(subscription.HasEvent);
        var (inside, expected, after) = (false, new List<long>(), 0L);
        for (LogPage page; (page = await writer.SyncAsync(room.Id, after)).Entries.Length > 0; after = page.Entries[^1].Seq)
        {
            foreach (var entry in page.Entries)
            {
                var about = entry.UserId == users[1].Id;
                inside |= about && entry.Kind == EntryKind.MemberJoined;
                if (inside)
                    expected.Add(entry.Seq);
                inside &= !(about && entry.Kind == EntryKind.MemberLeft);
            }
        }

        Assert.Equal(expected, received.Select(entry => entry.GetProperty("seq").GetInt64()));
    }

    [Fact]
    public async Task A_client_that_changes_nodes_goes_on_at_its_cursor_and_logout_reaches_it_there()
    {
        var users = await first.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync();
        var seqs = new List<long>();
        using var stop = new CancellationTokenSource();
        var writing = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
                await writer.SendAsync(room.Id, [1]);
        });
        for (var round = 0; round < 6; round++)
        {
            await using var socket = await GraphQLTestSocket.ConnectAsync((round % 2 == 0 ? second : first).Url, users[1].Tokens.AccessToken);
            var after = seqs.LastOrDefault();
            var subscription = await socket.SubscribeAsync(GraphQLSubscriptionTests.Room, new { id = room.Id, after });
            seqs.AddRange((await subscription.EntriesAsync("roomEntries", entries => entries.Count > 100)).Select(entry => entry.GetProperty("seq").GetInt64()));
        }

        await stop.CancelAsync();
        await writing;
        // Seq 1 stems from before the reader joined.
        Assert.Equal(Enumerable.Range(2, seqs.Count).Select(seq => (long)seq), seqs);
        await using var last = await GraphQLTestSocket.ConnectAsync(second.Url, users[1].Tokens.AccessToken);
        (await users[1].Http.PostAsync("/v1/auth/logout", null)).EnsureSuccessStatusCode();
        Assert.Equal(4401, await last.Closed.Task.WaitAsync(TimeSpan.FromSeconds(2)));
    }

    private static bool Is(System.Text.Json.JsonElement entry, string kind) => entry.GetProperty("kind").GetString() == kind;
}
