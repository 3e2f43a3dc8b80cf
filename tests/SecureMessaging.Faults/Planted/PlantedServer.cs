using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Server;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Faults.Planted;

/// <summary>
/// The server's code in a process of the harness, with one service replaced through the seam that tests use too. The shipped binary has no way to ask for this.
/// </summary>
internal static class PlantedServer
{
    public static async Task<int> RunAsync(string change, string[] settings)
    {
        await using var app = ServerApp.Build(settings, builder => Change(builder, change));
        if (change is "tail-ignores-roster" or "tail-skips-gaps")
            PlantedTail.Replace(app.Services, change);
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
        else if (change is not ("tail-ignores-roster" or "tail-skips-gaps"))
        {
            throw new InvalidOperationException($"There is no change called {change}.");
        }
    }

    /// <summary>The system's clock plus what was last told on standard input, in seconds.</summary>
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
