using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using SecureMessaging.Server.Admin.LiveLogs;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Admin;

/// <summary>The load beside watching administrators: numbered log lines, and a client that sends.</summary>
internal static class LogLoad
{
    public const int Event = 88;

    public static ILogger Logger(this TestServer node) => node.Services.GetRequiredService<ILoggerFactory>().CreateLogger("SecureMessaging.Server.Test");

    public static LogWatchers Watchers(this TestServer node) => node.Services.GetRequiredService<LogWatchers>();

    /// <summary>Logs one line with the node's name.</summary>
    public static void Log(this TestServer node, string text) =>
        node.Logger().LogInformation(Event, "{Text} {Node}", text, node.Services.GetRequiredService<LogLines>().Node);

    /// <summary>Logs long numbered lines, about 4,000 per second, until the token is cancelled. Returns their number.</summary>
    public static async Task<int> FloodAsync(this TestServer node, CancellationToken stop)
    {
        var (logger, padding) = (node.Logger(), new string('x', 150));
        var count = 0;
        while (!stop.IsCancellationRequested)
        {
            for (var i = 0; i < 100; i++)
                logger.LogInformation(Event, "Flood {Number} {Padding}", count++, padding);
            await Task.Delay(25, CancellationToken.None);
        }

        return count;
    }

    /// <summary>The 99th percentile of the acknowledgement times, in milliseconds.</summary>
    public static async Task<double> MeasureSendsAsync(this TestConnection hub, Guid roomId)
    {
        var times = new List<double>();
        for (var i = 0; i < 200; i++)
        {
            var watch = Stopwatch.StartNew();
            await hub.SendAsync(roomId, [1]);
            times.Add(watch.Elapsed.TotalMilliseconds);
            await Task.Delay(5);
        }

        return times.Order().ElementAt(197);
    }
}
