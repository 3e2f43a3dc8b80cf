using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>Two nodes: live queries on the node without writers.</summary>
[Trait("Ring", "Full")]
public sealed class GraphQLClusterTests(PostgresServer shared)
{
    [Fact]
    public async Task Memberships_are_delivered_exactly_while_the_other_node_writes()
    {
        await using var nodes = await TwoNodes.StartAsync(shared);
        var (first, second) = nodes;
        var users = await first.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([]);
        var writer = await users[0].ConnectAsync();
        await using var socket = await GraphQLTestSocket.ConnectAsync(second.Url, users[1].Tokens.AccessToken);
        var subscription = await socket.SubscribeAsync(GraphQLSubscriptionTests.Rooms, new { after = Array.Empty<object>() });
        await using var writing = new SteadyWriter(writer, room.Id);
        var received = new List<System.Text.Json.JsonElement>();
        for (var round = 0; round < 10; round++)
        {
            await users[0].AddMemberAsync(room.Id, users[1]);
            received.AddRange(await subscription.EntriesAsync("entries", entries => entries.Any(entry => Is(entry, "MEMBER_JOINED"))));
            await users[0].RemoveMemberAsync(room.Id, users[1]);
            if (!received.TakeLast(1).Any(entry => Is(entry, "MEMBER_LEFT")))
                received.AddRange(await subscription.EntriesAsync("entries", entries => entries.Any(entry => Is(entry, "MEMBER_LEFT"))));
        }

        await writing.StopAsync();
        await Task.Delay(500);
        Assert.False(subscription.HasEvent);
        var expected = (await writer.ReadLogAsync(room.Id)).SeqsWithin(users[1]);
        Assert.Equal(expected, received.Select(entry => entry.GetProperty("seq").GetInt64()));
    }

    [Fact]
    public async Task A_client_that_changes_nodes_continues_at_its_cursor_and_logout_reaches_it()
    {
        await using var nodes = await TwoNodes.StartAsync(shared);
        var (first, second) = nodes;
        var users = await first.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync();
        var seqs = new List<long>();
        await using var writing = new SteadyWriter(writer, room.Id);
        for (var round = 0; round < 6; round++)
        {
            await using var socket = await GraphQLTestSocket.ConnectAsync((round % 2 == 0 ? second : first).Url, users[1].Tokens.AccessToken);
            var after = seqs.LastOrDefault();
            var subscription = await socket.SubscribeAsync(GraphQLSubscriptionTests.Room, new { id = room.Id, after });
            seqs.AddRange(
                (await subscription.EntriesAsync("roomEntries", entries => entries.Count > 100)).Select(entry => entry.GetProperty("seq").GetInt64()));
        }

        await writing.StopAsync();
        // Seq 1 is from before the reader joined.
        Assert.Equal(Enumerable.Range(2, seqs.Count).Select(seq => (long)seq), seqs);
        await using var last = await GraphQLTestSocket.ConnectAsync(second.Url, users[1].Tokens.AccessToken);
        (await users[1].Http.PostAsync("/v1/auth/logout", null)).EnsureSuccessStatusCode();
        Assert.Equal(4401, await last.Closed.Task.WaitAsync(TimeSpan.FromSeconds(8)));
    }

    private static bool Is(System.Text.Json.JsonElement entry, string kind) => entry.GetProperty("kind").GetString() == kind;
}
