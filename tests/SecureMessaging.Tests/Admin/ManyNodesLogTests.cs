using System.Diagnostics;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
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
        await using var redis = new RedisProcess(Ports.Take());
        var setting = $"--ConnectionStrings:Redis={redis.Connection}";
        await using var alpha = await shared.DedicatedAsync(setting, "--Server:NodeName=alpha");
        await using var beta = await alpha.AnotherNodeAsync(setting, "--Server:NodeName=beta");
        await using var admin = await alpha.SignUpAdminAsync();

        // No Redis yet: connecting does not wait for it, and this node's lines are there.
        var clock = Stopwatch.StartNew();
        await using var watch = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"));
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(3));
        await watch.WaitAsync(line => line.Message == "early alpha", Log(alpha, "early"));
        Assert.False(beta.Services.GetRequiredService<LiveLog>().IsWatched);

        redis.Start();
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
        redis.Start();
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

    private static Func<Task> Log(TestServer node, string text)
    {
        var logger = node.Services.GetRequiredService<ILoggerFactory>().CreateLogger("SecureMessaging.Server.Test");
        var name = node.Services.GetRequiredService<LogLines>().Node;
        return () =>
        {
            logger.LogInformation(88, "{Text} {Node}", text, name);
            return Task.CompletedTask;
        };
    }
}
