using System.Diagnostics;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.StackExchangeRedis;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Admin.LiveLogs;
using SecureMessaging.Server.Doors.Hub;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Admin;

/// <summary>With Redis one stream has the logs of all nodes; without Redis it has those of its own node.</summary>
[Trait("Ring", "Full")]
public sealed class ManyNodesLogTests(PostgresServer shared)
{
    [Fact]
    public async Task With_Redis_the_logs_of_all_nodes_come_in_one_stream()
    {
        await using var nodes = await TwoNodes.StartAsync(shared, "alpha", "beta", withRedis: false);
        var (alpha, beta) = nodes;
        await using var admin = await alpha.SignUpAdminAsync();

        // Without Redis, connecting does not wait, and this node's lines arrive.
        var clock = Stopwatch.StartNew();
        await using var watch = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"));
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(3));
        await watch.WaitAsync(line => line.Message == "early alpha", Log(alpha, "early"));
        Assert.False(beta.Services.GetRequiredService<LiveLog>().IsWatched);

        await nodes.Redis.StartAsync();
        await using var onlyBeta = await LogWatch.StartAsync(admin, new LogFilter(Node: "beta"));
        await watch.WaitAsync(line => line.Message == "middle beta", Log(beta, "middle"));
        await onlyBeta.WaitAsync(line => line.Message == "middle beta", Log(beta, "middle"));
        await Log(alpha, "once")();
        await Log(beta, "once")();
        await watch.WaitAsync(line => line.Message == "once beta");
        await Task.Delay(500);
        Assert.Equal(
            ["once alpha", "once beta"], watch.Lines.Select(line => line.Message).Where(text => text.StartsWith("once", StringComparison.Ordinal)).Order());

        // Without Redis, this node's lines still arrive. With Redis again, those of the other nodes do too.
        await nodes.Redis.KillAsync();
        await watch.WaitAsync(line => line.Message == "late alpha", Log(alpha, "late"));
        clock.Restart();
        await using var meanwhile = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"));
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(3));
        await meanwhile.WaitAsync(line => line.Message == "meanwhile alpha", Log(alpha, "meanwhile"));
        await nodes.Redis.StartAsync();
        await watch.WaitAsync(line => line.Message == "last beta", Log(beta, "last"));
        await meanwhile.WaitAsync(line => line.Message == "last beta", Log(beta, "last"));
        Assert.All(onlyBeta.Lines, line => Assert.Equal("beta", line.Node));
    }

    [Fact]
    public async Task Lines_that_get_lost_between_nodes_are_counted()
    {
        await using var nodes = await TwoNodes.StartAsync(shared, "alpha", "beta");
        var (alpha, beta) = nodes;
        await using var admin = await alpha.SignUpAdminAsync();
        await using var watch = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"));
        await watch.WaitAsync(line => line.Message == "begin beta", Log(beta, "begin"));

        await nodes.Redis.KillAsync();
        for (var i = 0; i < 10; i++)
            beta.Log("lost");
        await Task.Delay(500);
        await nodes.Redis.StartAsync();
        var marked = await watch.WaitAsync(line => line is { EventName: "LinesDropped", Node: "beta" }, Log(beta, "again"));
        Assert.True(int.Parse(marked.Properties[0].Value) >= 10, marked.Message);
        Assert.DoesNotContain(watch.Lines, line => line.Message == "lost beta");
    }

    [Fact]
    public async Task The_chat_hub_keeps_its_own_lifetime_manager_beside_the_backplane()
    {
        await using var node = await shared.DedicatedAsync("--ConnectionStrings:Redis=127.0.0.1:1");
        Assert.IsType<HubLifetime>(node.Services.GetRequiredService<HubLifetimeManager<ChatHub>>());
        Assert.IsType<AdminLifetime>(node.Services.GetRequiredService<HubLifetimeManager<AdminHub>>());
        Assert.IsType<RedisHubLifetimeManager<LogNodes>>(node.Services.GetRequiredService<HubLifetimeManager<LogNodes>>());
    }

    /// <summary>Shorter than the timeout of the Redis client, and longer than it and than the validity of announcements.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(9)]
    public async Task A_paused_Redis_blocks_nothing_and_afterwards_each_line_comes_once(int seconds)
    {
        await using var nodes = await TwoNodes.StartAsync(shared, "alpha", "beta");
        var (alpha, beta) = nodes;
        await using var admin = await alpha.SignUpAdminAsync();
        var room = await admin.CreateRoomAsync([]);
        var hub = await admin.ConnectAsync();
        await using var onAlpha = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"));
        await using var onBeta = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"), beta.Url);
        await onAlpha.WaitAsync(line => line.Message == "begin beta", Log(beta, "begin"));
        await onBeta.WaitAsync(line => line.Message == "begin alpha", Log(alpha, "begin"));
        var calm = await hub.MeasureSendsAsync(room.Id);

        nodes.Redis.Pause();
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < 1000; i++)
            alpha.Log($"burst {i}");
        await onAlpha.WaitAsync(line => line.Message == "burst 999 alpha");
        var burst = clock.Elapsed;
        Assert.Equal(1000, onAlpha.Lines.Count(line => line.Message.StartsWith("burst", StringComparison.Ordinal)));
        var connecting = Stopwatch.StartNew();
        await using var late = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"), beta.Url);
        Assert.InRange(connecting.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(3));
        await late.WaitAsync(line => line.Message == "meanwhile beta", Log(beta, "meanwhile"));
        var paused = await hub.MeasureSendsAsync(room.Id);
        await Task.Delay(TimeSpan.FromSeconds(Math.Max(0, seconds - clock.Elapsed.TotalSeconds)));

        nodes.Redis.Resume();
        clock.Restart();
        await onAlpha.WaitAsync(line => line.Message == "back beta", Log(beta, "back"));
        await onBeta.WaitAsync(line => line.Message == "back alpha", Log(alpha, "back"));
        await late.WaitAsync(line => line.Message == "back alpha", Log(alpha, "back"));
        var back = clock.Elapsed;
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"Redis paused for {seconds} s: 1000 lines of the own node in {burst.TotalMilliseconds:F0} ms; ack p99: "
            + $"calm {calm:F1} ms, paused {paused:F1} ms; both nodes again after {back.TotalMilliseconds:F0} ms");
        Assert.True(burst < TimeSpan.FromSeconds(2), $"{burst}");
        Assert.True(paused < 1000, $"{paused} ms");
        Assert.True(back < TimeSpan.FromSeconds(5), $"{back}");

        alpha.Log("once");
        beta.Log("once");
        foreach (var watch in new[] { onAlpha, onBeta, late })
        {
            await watch.WaitAsync(line => line.Message == "once alpha");
            await watch.WaitAsync(line => line.Message == "once beta");
        }

        await Task.Delay(500);
        Assert.All([onAlpha, onBeta, late], watch => Assert.Equal(2, watch.Lines.Count(line => line.Message.StartsWith("once", StringComparison.Ordinal))));
    }

    private static Func<Task> Log(TestServer node, string text) => () =>
    {
        node.Log(text);
        return Task.CompletedTask;
    };
}
