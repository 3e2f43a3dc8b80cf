using System.Diagnostics;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Chat;

/// <summary>SIGTERM to a real process under load.</summary>
[Trait("Ring", "Full")]
public abstract class DrainTests(TestServer engine)
{
    [Fact]
    public async Task A_stopping_node_announces_it_finishes_accepted_sends_and_exits_in_time()
    {
        using var directory = new TestDirectory();
        await using var node = new ServerProcess(directory.Path, await DatabaseAsync(), "--Drain:Stagger=00:00:01", "--Drain:Patience=00:00:03");
        await node.StartAsync();
        await using var anna = await TestPeople.SignUpAsync(node.Url);
        var room = await anna.CreateRoomAsync([]);
        var (connections, acked, sending) = await SendAsync(anna, room.Id, 10);
        await HasAsync(acked, 100);
        var watch = Stopwatch.StartNew();
        node.Terminate();
        foreach (var connection in connections)
            Assert.InRange((int)(await connection.WaitAsync(nameof(IChatClient.Draining)))[0]!, 0, 1000);
        await Assert.ThrowsAnyAsync<Exception>(() => anna.ConnectAsync());
        await node.ExitedAsync();
        await sending;
        TestContext.Current.TestOutputHelper?.WriteLine($"exit after {watch.Elapsed.TotalSeconds:F1} s, {acked.Count} sends acknowledged");
        Assert.Equal(0, node.ExitCode);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(15));

        await node.StartAsync();
        await using var reader = await anna.ConnectAsync();
        var log = await reader.ReadLogAsync(room.Id);
        Assert.Subset(log.Select(entry => entry.Seq).ToHashSet(), acked.Select(ack => ack.Seq).ToHashSet());
    }

    [Fact]
    public async Task A_node_that_gets_little_CPU_time_exits_in_time()
    {
        using var directory = new TestDirectory();
        await using var node = new ServerProcess(directory.Path, await DatabaseAsync());
        await node.StartAsync();
        await using var anna = await TestPeople.SignUpAsync(node.Url);
        var room = await anna.CreateRoomAsync([]);
        // The clients ignore the request to move.
        var (_, acked, sending) = await SendAsync(anna, room.Id, 20);
        await HasAsync(acked, 100);
        var watch = Stopwatch.StartNew();
        node.Terminate();
        await Task.WhenAll(node.ExitedAsync(), StutterAsync(node));
        await sending;
        TestContext.Current.TestOutputHelper?.WriteLine($"exit after {watch.Elapsed.TotalSeconds:F1} s, {acked.Count} sends acknowledged");
        Assert.Equal(0, node.ExitCode);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(15), $"{watch.Elapsed}");
    }

    /// <summary>Connections of one user that all send until they are closed, and their acks.</summary>
    private static async Task<(List<TestConnection> Connections, List<SendAck> Acked, Task Sending)> SendAsync(TestUser user, Guid roomId, int count)
    {
        var connections = new List<TestConnection>();
        for (var i = 0; i < count; i++)
            connections.Add(await user.ConnectAsync(messagePack: i % 2 == 0));
        var acked = new List<SendAck>();
        return (connections, acked, Task.WhenAll(connections.Select(async connection =>
        {
            try
            {
                while (true)
                {
                    var ack = await connection.SendAsync(roomId, [1]);
                    lock (acked)
                        acked.Add(ack);
                }
            }
            catch (Exception exception) when (exception is not HubError)
            {
                // The connection was closed, as announced.
            }
        })));
    }

    private static Task HasAsync(List<SendAck> acked, int count) => Eventually.TrueAsync(() =>
    {
        lock (acked)
            return acked.Count >= count;
    });

    /// <summary>Lets the process run for a fifth of the time, until it exits.</summary>
    private static async Task StutterAsync(ServerProcess node)
    {
        try
        {
            while (!node.HasExited)
            {
                node.Pause();
                await Task.Delay(200);
                node.Resume();
                await Task.Delay(50);
            }
        }
        catch (InvalidOperationException)
        {
            // It has exited meanwhile.
        }
    }

    private async Task<string?> DatabaseAsync() => engine.PostgresConnection is null ? null : await TestPostgres.CreateDatabaseAsync();
}

public sealed class DrainTestsOnSqlite(SqliteServer server) : DrainTests(server);

public sealed class DrainTestsOnPostgres(PostgresServer server) : DrainTests(server);
