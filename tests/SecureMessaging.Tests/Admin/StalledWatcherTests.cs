using System.Diagnostics;
using System.Net.WebSockets;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Admin;

/// <summary>Runs alone, because it measures the memory of the process.</summary>
[CollectionDefinition(nameof(StalledWatcherTests), DisableParallelization = true)]
public sealed class StalledWatcherCollection;

/// <summary>Administrators that watch logs and stop reading are disconnected; other clients are not affected, and memory stays bounded.</summary>
[Collection(nameof(StalledWatcherTests))]
[Trait("Ring", "Full")]
public sealed class StalledWatcherTests(SqliteServer sqlite, PostgresServer postgres)
{
    private const string Follow = """{"type":1,"invocationId":"1","target":"Follow","arguments":[{}]}""";
    private const int Stalled = 10;
    private const int MostMegabytes = 64;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Viewers_that_stop_reading_slow_no_request_and_are_disconnected(bool throughRedis)
    {
        await using var redis = new RedisProcess();
        await redis.StartAsync();
        string[] settings = throughRedis ? [$"--ConnectionStrings:Redis={redis.ConnectionString}"] : [];
        await using var logging = throughRedis ? await postgres.DedicatedAsync([.. settings, "--Server:NodeName=alpha"])
            : await sqlite.DedicatedAsync("--Server:NodeName=alpha");
        await using var other = throughRedis ? await logging.AnotherNodeAsync([.. settings, "--Server:NodeName=beta"]) : null;
        var watched = other ?? logging;
        await using var admin = await logging.SignUpAdminAsync();
        var room = await admin.CreateRoomAsync([]);
        var hub = await admin.ConnectAsync(node: watched.Url);
        await using var reading = await LogWatch.StartAsync(admin, new LogFilter(Node: "alpha"), watched.Url);
        await reading.WaitAsync(line => line.Message == "begin alpha", () => Task.Run(() => logging.Log("begin")));
        var calm = await hub.MeasureSendsAsync(room.Id);

        var sockets = new List<ClientWebSocket>();
        for (var i = 0; i < Stalled; i++)
            sockets.Add(await StalledSocket.OpenAsync(admin, watched.Url, Wire.AdminHubPath, Follow));
        var before = GC.GetTotalMemory(forceFullCollection: true);
        using var stop = new CancellationTokenSource();
        var flood = Task.Run(() => logging.FloodAsync(stop.Token));
        var watch = Stopwatch.StartNew();
        var (worst, largest) = (0.0, 0L);
        while (watched.Watchers().All.Count() > 1)
        {
            worst = Math.Max(worst, await hub.MeasureSendsAsync(room.Id));
            // Memory of the test itself must not count.
            reading.Clear();
            logging.Logs.Clear();
            largest = Math.Max(largest, GC.GetTotalMemory(forceFullCollection: true) - before);
            Assert.True(watch.Elapsed < Patience, $"{watched.Watchers().All.Count() - 1} watchers that read nothing are still there.");
        }

        var cut = watch.Elapsed;
        await stop.CancelAsync();
        var lines = await flood;
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{Stalled} stalled watchers were cut off after {cut.TotalSeconds:F1} s and {lines} lines; "
            + $"ack p99: calm {calm:F1} ms, meanwhile {worst:F1} ms; memory grew by {largest >> 20} MiB");
        Assert.True(worst < 1000, $"{worst} ms");
        Assert.True(largest >> 20 < MostMegabytes, $"{largest >> 20} MiB");
        await reading.WaitAsync(line => line.Message == "end alpha", () => Task.Run(() => logging.Log("end")));
        sockets.ForEach(socket => socket.Dispose());
    }
}
