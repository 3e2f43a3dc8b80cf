using SecureMessaging.Protocol;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Cluster;

/// <summary>
/// A property: for every interleaving of joins, leaves and writes on two nodes, no client gets an entry outside of its memberships.
/// </summary>
[Trait("Ring", "Full")]
public sealed class RemovalRaceTests(PostgresServer shared)
{
    private const int Steps = 60;

    [Fact]
    public async Task A_removed_member_receives_no_entry_after_its_removal()
    {
        await using var nodes = await TwoNodes.StartAsync(shared);
        var (first, second) = nodes;
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

        // A stream buffers 256 runs. So many entries in the whole room keep a slow machine within it; what exceeds it cannot be read after a removal.
        using var pace = new SemaphoreSlim(0);
        await using var writing = new SteadyWriter(writers[0], room.Id, pace);
        await using var writingToo = new SteadyWriter(writers[1], room.Id, pace);
        var inside = new HashSet<TestUser>();
        for (var step = 0; step < Steps; step++)
        {
            pace.Release(2);
            var guest = guests[random.Next(guests.Length)];
            if (inside.Remove(guest))
                await owner.RemoveMemberAsync(room.Id, guest);
            else if (inside.Add(guest))
                await owner.AddMemberAsync(room.Id, guest);
            if (random.Next(3) == 0)
                await Task.Delay(random.Next(40));
        }

        foreach (var guest in inside)
            await owner.RemoveMemberAsync(room.Id, guest);
        await writing.StopAsync();
        await writingToo.StopAsync();
        // When the remaining member has, on each node, the entries written after the last leave, that node has delivered everything before them.
        var last = (await writers[0].SendBatchAsync([.. Enumerable.Range(0, 20).Select(_ => new SendRequest(room.Id, Guid.NewGuid(), [2]))]))[^1].Ack!.Seq;
        foreach (var writer in writers)
            await writer.WaitAsync(room.Id, entries => entries.Length > 0 && entries[^1].Seq >= last);

        var log = await writers[0].ReadLogAsync(room.Id);
        Assert.Equal(Enumerable.Range(1, (int)last).Select(seq => (long)seq), log.Select(entry => entry.Seq));
        foreach (var (guest, stream) in streams)
        {
            var stays = log.SeqsWithin(guest);
            var received = await stream.EntriesAsync("entries", entries => entries.Count >= stays.Count);
            Assert.Equal(stays, received.Select(entry => entry.GetProperty("seq").GetInt64()));
            Assert.False(stream.HasEvent);
        }

        foreach (var (guest, hub) in hubs)
        {
            // The hub may leave the beginning of a membership, and entries beyond a slow client's bound, to a Sync. It must never send more.
            var received = hub.Received(room.Id).Select(entry => entry.Seq).ToList();
            Assert.Empty(received.Except(log.SeqsWithin(guest)));
            Assert.Equal(received.Order().Distinct(), received);
            Assert.NotEmpty(received);
        }

        foreach (var socket in sockets)
            await socket.DisposeAsync();
    }
}
