using System.Diagnostics;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Chat;

/// <summary>SIGTERM to a real process under load.</summary>
public abstract class DrainTests(TestServer engine)
{
    [Fact]
    public async Task A_stopping_node_says_so_finishes_what_it_accepted_and_exits_in_time()
    {
        using var directory = new TestDirectory();
        await using var node = new ServerProcess(directory.Path, await DatabaseAsync(), "--Drain:Stagger=00:00:01", "--Drain:Patience=00:00:03");
        await node.StartAsync();
        await using var anna = await TestPeople.SignUpAsync(node.Url);
        var room = await anna.CreateRoomAsync([]);
        var connections = new List<TestConnection>();
        for (var i = 0; i < 10; i++)
            connections.Add(await anna.ConnectAsync(messagePack: i % 2 == 0));
        var acked = new List<SendAck>();
        var sending = connections.Select(async connection =>
        {
            try
            {
                while (true)
                {
                    var ack = await connection.SendAsync(room.Id, [1]);
                    lock (acked)
                        acked.Add(ack);
                }
            }
            catch (Exception exception) when (exception is not HubError)
            {
                // The connection was closed, as announced.
            }
        }).ToArray();
        await Task.Delay(500);
        var watch = Stopwatch.StartNew();
        node.Terminate();
        foreach (var connection in connections)
            Assert.InRange((int)(await connection.WaitAsync(nameof(IChatClient.Draining)))[0]!, 0, 1000);
        await Assert.ThrowsAnyAsync<Exception>(() => anna.ConnectAsync());
        await node.ExitedAsync();
        await Task.WhenAll(sending);
        TestContext.Current.TestOutputHelper?.WriteLine($"exit after {watch.Elapsed.TotalSeconds:F1} s, {acked.Count} sends acknowledged");
        Assert.Equal(0, node.ExitCode);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(15));

        await node.StartAsync();
        await using var reader = await anna.ConnectAsync();
        var log = new List<LogEntry>();
        for (LogPage page; (page = await reader.SyncAsync(room.Id, log.Count)).Entries.Length > 0;)
            log.AddRange(page.Entries);
        Assert.Subset(log.Select(entry => entry.Seq).ToHashSet(), acked.Select(ack => ack.Seq).ToHashSet());
    }

    private async Task<string?> DatabaseAsync() => engine.PostgresConnection is null ? null : await TestPostgres.CreateDatabaseAsync();
}

public sealed class DrainTestsOnSqlite(SqliteServer server) : DrainTests(server);

public sealed class DrainTestsOnPostgres(PostgresServer server) : DrainTests(server);
