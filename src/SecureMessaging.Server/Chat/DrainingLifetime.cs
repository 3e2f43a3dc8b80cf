using System.ComponentModel.DataAnnotations;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Options;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// How the process ends on SIGTERM and Ctrl+C: refuse new connections, ask clients to move to another node at a moment of their own, wait for them, then
/// stop. A second signal skips the wait.
/// </summary>
internal sealed partial class DrainingLifetime(
    ChatConnections connections, IHostApplicationLifetime lifetime, IOptions<DrainOptions> options, TimeProvider time, ILogger<DrainingLifetime> logger)
    : IHostLifetime, IDisposable
{
    private static readonly TimeSpan Check = TimeSpan.FromMilliseconds(50);
    private readonly List<PosixSignalRegistration> signals = [];
    private readonly CancellationTokenSource hurry = new();
    private int signalled;

    public bool IsDraining => Volatile.Read(ref signalled) > 0;

    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        foreach (var signal in new[] { PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGQUIT })
            signals.Add(PosixSignalRegistration.Create(signal, Handle));
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose()
    {
        signals.ForEach(signal => signal.Dispose());
        hurry.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref signalled) == 1)
            _ = DrainAsync();
        else
            hurry.Cancel();
    }

    private async Task DrainAsync()
    {
        try
        {
            var started = time.GetTimestamp();
            var count = connections.AnnounceDraining(options.Value.Stagger);
            Draining(logger, count);
            // By the clock, not by the number of checks: on a busy machine each of them takes many times as long, and whoever sent the signal soon sends SIGKILL.
            while (time.GetElapsedTime(started) < options.Value.Stagger + options.Value.Patience && !connections.IsEmpty && !hurry.IsCancellationRequested)
                await Task.Delay(Check, hurry.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        catch (Exception exception)
        {
            // The clients find out when the node is gone.
            DrainingFailed(logger, exception);
        }
        finally
        {
            lifetime.StopApplication();
        }
    }

    [LoggerMessage(4400, LogLevel.Information, "Stopping: {Connections} connections are asked to move")]
    private static partial void Draining(ILogger logger, int connections);

    [LoggerMessage(4404, LogLevel.Error, "Clients could not be asked to move; the node stops at once")]
    private static partial void DrainingFailed(ILogger logger, Exception exception);
}

/// <summary>How long a stopping node waits for its clients to move. Section <c>Drain</c>.</summary>
internal sealed class DrainOptions
{
    public const string Section = "Drain";

    /// <summary>"10" is ten days to .NET: refused, because a node that waits so long is killed with its clients still on it.</summary>
    private const string Longest = "00:10:00";

    /// <summary>Clients are spread over this time, so that the other nodes are not stormed.</summary>
    [Range(typeof(TimeSpan), "00:00:00", Longest)]
    public TimeSpan Stagger { get; set; } = TimeSpan.FromSeconds(4);

    /// <summary>Time for the last of them to be gone.</summary>
    [Range(typeof(TimeSpan), "00:00:00", Longest)]
    public TimeSpan Patience { get; set; } = TimeSpan.FromSeconds(2);
}
