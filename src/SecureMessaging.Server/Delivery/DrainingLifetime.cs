using System.ComponentModel.DataAnnotations;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Options;

namespace SecureMessaging.Server.Delivery;

/// <summary>
/// Drains the node on SIGTERM and Ctrl+C: rejects new connections, asks each client to move to another node at a different moment, waits for them,
/// then stops. A second signal skips the wait.
/// </summary>
internal sealed partial class DrainingLifetime(
    Subscribers connections, IHostApplicationLifetime lifetime, IOptions<DrainOptions> options, TimeProvider time, ILogger<DrainingLifetime> logger)
    : IHostLifetime, IDisposable
{
    private static readonly TimeSpan Check = TimeSpan.FromMilliseconds(50);
    private readonly List<PosixSignalRegistration> signals = [];
    private readonly CancellationTokenSource secondSignal = new();
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
        secondSignal.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref signalled) == 1)
            _ = DrainAsync();
        else
            secondSignal.Cancel();
    }

    private async Task DrainAsync()
    {
        try
        {
            var started = time.GetTimestamp();
            var count = connections.AnnounceDraining(options.Value.Stagger);
            Draining(logger, count);
            // Bounded by the clock, not by the number of checks: on a busy machine a check takes many times as long, and SIGKILL soon follows
            // SIGTERM.
            var longest = options.Value.Stagger + options.Value.Patience;
            while (time.GetElapsedTime(started) < longest && !connections.IsEmpty && !secondSignal.IsCancellationRequested)
                await Task.Delay(Check, time, secondSignal.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        catch (Exception exception)
        {
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

    /// <summary>
    /// .NET reads "10" as ten days. Such a value is rejected: a node that waits so long is killed with its clients still connected.
    /// </summary>
    private const string Longest = "00:10:00";

    /// <summary>Clients move spread over this time, so that they do not all reach the other nodes at once.</summary>
    [Range(typeof(TimeSpan), "00:00:00", Longest)]
    public TimeSpan Stagger { get; set; } = TimeSpan.FromSeconds(4);

    /// <summary>Extra time for the last clients.</summary>
    [Range(typeof(TimeSpan), "00:00:00", Longest)]
    public TimeSpan Patience { get; set; } = TimeSpan.FromSeconds(2);
}
