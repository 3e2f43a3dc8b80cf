using System.Diagnostics;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Admin;
using SecureMessaging.Server.Chat;
using SecureMessaging.Server.Platform;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Admin;

/// <summary>One stream for all nodes, while there is a Redis; the own node's, while there is none.</summary>
public sealed class ManyNodesLogTests(PostgresServer shared)
{
    [Fact]
    public async Task Logs_of_all_nodes_come_in_one_stream_whenever_Redis_is_there()
    {
        await using var redis = new RedisProcess();
        var setting = $"--ConnectionStrings:Redis={redis.ConnectionString}";
        await using var alpha = await shared.DedicatedAsync(setting, "--Server:NodeName=alpha");
        await using var beta = await alpha.AnotherNodeAsync(setting, "--Server:NodeName=beta");
        await using var admin = await alpha.SignUpAdminAsync();

        // No Redis yet: connecting does not wait for it, and this node's lines are there.
        var clock = Stopwatch.StartNew();
        await using var watch = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"));
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(3));
        await watch.WaitAsync(line => line.Message == "early alpha", Log(alpha, "early"));
        Assert.False(beta.Services.GetRequiredService<LiveLog>().IsWatched);

        await redis.StartAsync();
        await using var onlyBeta = await LogWatch.StartAsync(admin, new LogFilter(Node: "beta"));
        await watch.WaitAsync(line => line.Message == "middle beta", Log(beta, "middle"));
        await onlyBeta.WaitAsync(line => line.Message == "middle beta", Log(beta, "middle"));
        await Log(alpha, "once")();
        await Log(beta, "once")();
        await watch.WaitAsync(line => line.Message == "once beta");
        await Task.Delay(500);
        Assert.Equal(["once alpha", "once beta"], watch.Lines.Select(line => line.Message).Where(text => text.StartsWith("once", StringComparison.Ordinal)).Order());

        // Gone: what is here still comes. Back: the others are back too.
        await redis.KillAsync();
        await watch.WaitAsync(line => line.Message == "late alpha", Log(alpha, "late"));
        clock.Restart();
        await using var meanwhile = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"));
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(3));
        await meanwhile.WaitAsync(line => line.Message == "meanwhile alpha", Log(alpha, "meanwhile"));
        await redis.StartAsync();
        await watch.WaitAsync(line => line.Message == "last beta", Log(beta, "last"));
        await meanwhile.WaitAsync(line => line.Message == "last beta", Log(beta, "last"));
        Assert.All(onlyBeta.Lines, line => Assert.Equal("beta", line.Node));
    }

    [Fact]
    public async Task The_backplane_leaves_the_chat_its_own_lifetime_manager()
    {
        await using var node = await shared.DedicatedAsync("--ConnectionStrings:Redis=127.0.0.1:1");
        Assert.IsType<ChatLifetime>(node.Services.GetRequiredService<HubLifetimeManager<ChatHub>>());
        Assert.IsType<AdminLifetime>(node.Services.GetRequiredService<HubLifetimeManager<AdminHub>>());
    }

    /// <summary>Shorter than what Redis's client waits for an answer, and longer than that and than announcements hold.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(9)]
    public async Task While_Redis_is_paused_nothing_waits_for_it_and_afterwards_each_line_comes_once(int seconds)
    {
        await using var redis = new RedisProcess();
        await redis.StartAsync();
        var setting = $"--ConnectionStrings:Redis={redis.ConnectionString}";
        await using var alpha = await shared.DedicatedAsync(setting, "--Server:NodeName=alpha");
        await using var beta = await alpha.AnotherNodeAsync(setting, "--Server:NodeName=beta");
        await using var admin = await alpha.SignUpAdminAsync();
        var room = await admin.CreateRoomAsync([]);
        var hub = await admin.ConnectAsync();
        await using var onAlpha = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"));
        await using var onBeta = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"), beta.Url);
        await onAlpha.WaitAsync(line => line.Message == "begin beta", Log(beta, "begin"));
        await onBeta.WaitAsync(line => line.Message == "begin alpha", Log(alpha, "begin"));
        var calm = await hub.MeasureSendsAsync(room.Id);

        redis.Pause();
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

        redis.Resume();
        clock.Restart();
        await onAlpha.WaitAsync(line => line.Message == "back beta", Log(beta, "back"));
        await onBeta.WaitAsync(line => line.Message == "back alpha", Log(alpha, "back"));
        await late.WaitAsync(line => line.Message == "back alpha", Log(alpha, "back"));
        var back = clock.Elapsed;
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"Redis paused for {seconds} s: 1000 lines of the own node in {burst.TotalMilliseconds:F0} ms; ack p99: calm {calm:F1} ms, paused {paused:F1} ms; both nodes again after {back.TotalMilliseconds:F0} ms");
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
