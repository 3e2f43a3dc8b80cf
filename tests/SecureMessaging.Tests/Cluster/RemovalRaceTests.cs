using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Chat;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Cluster;

/// <summary>Hazard 32 as a property: however joining, leaving and writing interleave on two nodes, nobody is given an entry that lies outside of their stays.</summary>
public sealed class RemovalRaceTests(PostgresServer shared) : IAsyncLifetime
{
    private const int Steps = 60;

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
    public async Task Nobody_receives_what_is_ordered_after_their_removal()
    {
        var random = Seed.For("removal races");
        var owner = await first.SignUpAsync();
        var guests = await first.SignUpAsync(3);
        var room = await owner.CreateRoomAsync([]);
        TestConnection[] writers = [await owner.ConnectAsync(), await owner.ConnectAsync(messagePack: true, node: second.Url)];
        var hubs = new List<(TestUser Guest, TestConnection Hub)>();
        var streams = new List<(TestUser Guest, GraphQLTestSocket.Subscription Stream)>();
        var sockets = new List<GraphQLTestSocket>();
        foreach (var guest in guests)
        {
            foreach (var node in new[] { first, second })
            {
                hubs.Add((guest, await guest.ConnectAsync(messagePack: random.Next(2) == 0, node: node.Url)));
                sockets.Add(await GraphQLTestSocket.ConnectAsync(node.Url, guest.Tokens.AccessToken));
                streams.Add((guest, await sockets[^1].SubscribeAsync(GraphQLSubscriptionTests.Rooms, new { after = Array.Empty<object>() })));
            }
        }

        using var stop = new CancellationTokenSource();
        var writing = writers.Select(writer => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
                await writer.SendAsync(room.Id, [1]);
        })).ToArray();
        var inside = new HashSet<TestUser>();
        for (var step = 0; step < Steps; step++)
        {
            var guest = guests[random.Next(guests.Length)];
            if (inside.Remove(guest))
                await GraphQLSubscriptionTests.RemoveAsync(owner, room.Id, guest.Id);
            else if (inside.Add(guest))
                await GraphQLSubscriptionTests.AddAsync(owner, room.Id, guest.Username);
            if (random.Next(3) == 0)
                await Task.Delay(random.Next(40));
        }

        foreach (var guest in inside)
            await GraphQLSubscriptionTests.RemoveAsync(owner, room.Id, guest.Id);
        await stop.CancelAsync();
        await Task.WhenAll(writing);
        // Once who stayed has seen on each node what was written after all had gone, its tails have passed everything that they could have given away.
        var last = (await writers[0].SendBatchAsync([.. Enumerable.Range(0, 20).Select(_ => new SendRequest(room.Id, Guid.NewGuid(), [2]))]))[^1].Ack!.Seq;
        foreach (var writer in writers)
            await writer.WaitAsync(room.Id, entries => entries.Length > 0 && entries[^1].Seq >= last);

        var log = new List<LogEntry>();
        for (LogPage page; (page = await writers[0].SyncAsync(room.Id, log.Count == 0 ? 0 : log[^1].Seq)).Entries.Length > 0;)
            log.AddRange(page.Entries);
        Assert.Equal(Enumerable.Range(1, (int)last).Select(seq => (long)seq), log.Select(entry => entry.Seq));
        foreach (var (guest, stream) in streams)
        {
            var stays = Stays(log, guest.Id);
            var received = await stream.EntriesAsync("entries", entries => entries.Count >= stays.Count);
            Assert.Equal(stays, received.Select(entry => entry.GetProperty("seq").GetInt64()));
            Assert.False(stream.HasEvent);
        }

        foreach (var (guest, hub) in hubs)
        {
            // The hub may leave the beginning of a stay to a Sync, and what a slow reader has not taken; never may it give more.
            var received = hub.Received(room.Id).Select(entry => entry.Seq).ToList();
            Assert.Empty(received.Except(Stays(log, guest.Id)));
            Assert.Equal(received.Order().Distinct(), received);
            Assert.NotEmpty(received);
        }

        foreach (var socket in sockets)
            await socket.DisposeAsync();
    }

    /// <summary>From each joining to the leaving that follows, both included.</summary>
    private static List<long> Stays(List<LogEntry> log, Guid userId)
    {
        var (stays, inside) = (new List<long>(), false);
        foreach (var entry in log)
        {
            inside |= entry.UserId == userId && entry.Kind == EntryKind.MemberJoined;
            if (inside)
                stays.Add(entry.Seq);
            inside &= !(entry.UserId == userId && entry.Kind == EntryKind.MemberLeft);
        }

        return stays;
    }
}
