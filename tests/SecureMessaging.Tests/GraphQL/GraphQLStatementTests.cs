using System.Diagnostics;
using Npgsql;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>Data of any number of rooms is loaded with one statement per field.</summary>
[Trait("Ring", "Full")]
public sealed class GraphQLStatementTests(PostgresServer shared)
{
    [Fact]
    public async Task Rooms_with_members_and_logs_cost_four_statements()
    {
        const int attempts = 5;
        await using var server = await shared.DedicatedAsync();
        var users = await server.SignUpAsync(3);
        const string query = "{ rooms { id members { username role } log(last: 1) { nodes { seq } } } }";
        using var statements = new Statements(new NpgsqlConnectionStringBuilder(server.PostgresConnection).Database!);
        var counts = new List<int>();
        foreach (var more in new[] { 1, 9, 30 })
        {
            for (var i = 0; i < more; i++)
                await users[0].CreateRoomAsync(users[1..]);
            // The server's jobs have statements too, so the attempt with the fewest counts.
            var fewest = int.MaxValue;
            for (var attempt = 0; attempt < attempts; attempt++)
            {
                statements.Count();
                var rooms = (await users[0].Http.AskAsync(query)).GetProperty("rooms");
                fewest = Math.Min(fewest, statements.Count());
                Assert.All(rooms.EnumerateArray(), room =>
                {
                    Assert.Equal(3, room.GetProperty("members").GetArrayLength());
                    Assert.Equal(3, room.GetProperty("log").GetProperty("nodes")[0].GetProperty("seq").GetInt64());
                });
            }

            counts.Add(fewest);
        }

        // The session, the rooms, their members, their logs.
        Assert.Equal([4, 4, 4], counts);
    }

    [Fact]
    public async Task Live_entries_need_no_statement_per_reader()
    {
        await using var server = await shared.DedicatedAsync("--Retention:Period=01:00:00");
        var users = await server.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, users[1].Tokens.AccessToken);
        var subscriptions = new List<GraphQLTestSocket.Subscription>();
        for (var i = 0; i < 20; i++)
            subscriptions.Add(await socket.SubscribeAsync(GraphQLSubscriptionTests.Room, new { id = room.Id, after = 0 }));
        foreach (var subscription in subscriptions)
            await subscription.NextAsync();
        var writer = await users[0].ConnectAsync();
        using var statements = new Statements(new NpgsqlConnectionStringBuilder(server.PostgresConnection).Database!);
        for (var i = 0; i < 10; i++)
            await writer.SendAsync(room.Id, [1]);
        foreach (var subscription in subscriptions)
            await subscription.EntriesAsync("roomEntries", entries => entries.Count >= 10);
        // One statement per send and a few others; none of 200 deliveries has its own.
        Assert.InRange(statements.Count(), 10, 40);
    }

    /// <summary>Counts Npgsql's statements on one database.</summary>
    private sealed class Statements : IDisposable
    {
        private readonly ActivityListener listener;
        private int count;

        public Statements(string database)
        {
            listener = new ActivityListener
            {
                ShouldListenTo = source => source.Name == "Npgsql",
                Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
                ActivityStopped = activity =>
                {
                    if (activity.Tags.Any(tag => tag.Key is "db.namespace" or "db.name" && tag.Value == database)
                        && activity.Tags.Any(tag => tag.Key is "db.query.text" or "db.statement"))
                        Interlocked.Increment(ref count);
                },
            };
            ActivitySource.AddActivityListener(listener);
        }

        public int Count() => Interlocked.Exchange(ref count, 0);

        public void Dispose() => listener.Dispose();
    }
}
