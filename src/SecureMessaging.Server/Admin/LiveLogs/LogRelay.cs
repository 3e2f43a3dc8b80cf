using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Diagnostics;

namespace SecureMessaging.Server.Admin.LiveLogs;

/// <summary>Reads this node's log events from <see cref="LiveLog"/> and gives them to the watchers on all nodes. Code that logs never waits for it.</summary>
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
        while (await log.Events.WaitToReadAsync(stoppingToken))
        {
            var batch = new List<LogLine>();
            if (log.TakeDropped() is > 0 and var dropped)
                batch.Add(LogLines.Dropped(lines.Node, time.GetUtcNow().UtcDateTime, dropped));
            while (batch.Count < LinesInBatch && log.Events.TryRead(out var logEvent))
                batch.Add(lines.Read(logEvent));
            watchers.Offer(batch);
            backplane.Offer(batch);
            await Task.Delay(Gathering, time, stoppingToken);
        }
    }

    /// <summary>Sessions may end on other nodes without a notice to this one, and an administrator may lose the role.</summary>
    private async Task CheckSessionsAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(SessionCheck, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            // Concurrent look-ups share one statement.
            await Task.WhenAll(watchers.All.Select(watcher => CheckSessionAsync(watcher, stoppingToken)));
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
            // The database does not answer. Administrators watch the logs to see such events, so the connection stays.
            Unchecked(logger, exception.Code);
        }
    }

    [LoggerMessage(6101, LogLevel.Debug, "The session of a watcher could not be checked ({Code})")]
    private static partial void Unchecked(ILogger logger, ErrorCode code);
}
