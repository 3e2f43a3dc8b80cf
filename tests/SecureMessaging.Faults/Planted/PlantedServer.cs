using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Server;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Faults.Planted;

/// <summary>
/// The server's code in a process of the harness, with one service replaced through the parameter that tests use too. The shipped program has no option for it.
/// </summary>
internal static class PlantedServer
{
    public static async Task<int> RunAsync(string change, string[] settings)
    {
        await using var app = ServerApp.Build(settings, builder => Change(builder, change));
        if (change is "delivery-ignores-roster" or "delivery-skips-gaps")
            PlantedDelivery.Replace(app.Services, change);
        await app.RunAsync();
        return 0;
    }

    private static void Change(WebApplicationBuilder builder, string change)
    {
        if (change == "clock")
        {
            var clock = new ShiftedTime();
            builder.Services.AddSingleton<TimeProvider>(clock);
            clock.Listen();
        }
        else if (change is "global-sequence" or "ack-before-commit" or "no-deduplication" or "publish-before-commit")
        {
            builder.Services.AddSingleton<IEnvelopeAppend>(provider =>
                new PlantedAppend(provider.GetRequiredService<Database>(), provider.GetRequiredService<CommitFeed>(), change));
        }
        else if (change is not ("delivery-ignores-roster" or "delivery-skips-gaps"))
        {
            throw new InvalidOperationException($"There is no change called {change}.");
        }
    }

    /// <summary>The system's clock plus the last number of seconds on standard input.</summary>
    private sealed class ShiftedTime : TimeProvider
    {
        private long offsetSeconds;

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddSeconds(Interlocked.Read(ref offsetSeconds));

        public void Listen() => _ = Task.Run(async () =>
        {
            while (await Console.In.ReadLineAsync() is { } line)
                Interlocked.Exchange(ref offsetSeconds, long.Parse(line));
        });
    }
}
