using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Admin;

/// <summary>Takes this node's events from the tap and hands them to whoever watches, here and through other nodes. Nobody who logs waits for it.</summary>
internal sealed partial class LogRelay(
    LiveLog log, LogLines lines, LogWatchers watchers, LogBackplane backplane, SessionStore sessions, TimeProvider time, ILogger<LogRelay> logger)
    : BackgroundService
{
    private const int LinesInBatch = 200;
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan SessionCheck = TimeSpan.FromSeconds(1);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(RelayAsync(stoppingToken), CheckSessionsAsync(stoppingToken));

    private async Task RelayAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (await log.Events.WaitToReadAsync(stoppingToken))
            {
                var batch = new List<LogLine>();
                if (log.TakeDropped() is > 0 and var dropped)
                    batch.Add(LogLines.Dropped(lines.Node, time.GetUtcNow().UtcDateTime, dropped));
                while (batch.Count < LinesInBatch && log.Events.TryRead(out var logEvent))
                    batch.Add(lines.Read(logEvent));
                foreach (var watcher in watchers.Following)
                {
                    foreach (var line in batch.Where(line => watcher.Filter is { } filter && LogLines.Passes(filter, line)))
                        watcher.Offer(line);
                }

                backplane.Offer(batch);
                await Task.Delay(Gathering, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The node stops.
        }
    }

    /// <summary>Another node may end a session without a notice to this one, and an administrator may lose the role.</summary>
    private async Task CheckSessionsAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(SessionCheck, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                // Together, so that they are one statement.
                await Task.WhenAll(watchers.All.Select(watcher => CheckSessionAsync(watcher, stoppingToken)));
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The node stops.
        }
    }

    private async Task CheckSessionAsync(LogWatcher watcher, CancellationToken stoppingToken)
    {
        try
        {
            if (await sessions.FindLiveAsync(watcher.SessionId, stoppingToken) is not { IsAdmin: true })
                watcher.Abort();
        }
        catch (ApiException exception)
        {
            // The database is away; the logs of that are what is being watched.
            Unchecked(logger, exception.Code);
        }
    }

    [LoggerMessage(6101, LogLevel.Debug, "The session of a watcher could not be checked ({Code})")]
    private static partial void Unchecked(ILogger logger, ErrorCode code);
}
