using System.Collections.Concurrent;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Admin;

/// <summary>Who watches the logs on this node's connections.</summary>
internal sealed class LogWatchers
{
    private readonly ConcurrentDictionary<string, LogWatcher> watchers = new(StringComparer.Ordinal);
    private readonly LiveLog log;
    private readonly Lock tap = new();
    private volatile bool elsewhere;

    public LogWatchers(LiveLog log, SessionEvents sessionEvents)
    {
        this.log = log;
        sessionEvents.Ended += (sessionId, _) =>
        {
            foreach (var watcher in watchers.Values.Where(watcher => watcher.SessionId == sessionId))
                watcher.Abort();
        };
    }

    public IEnumerable<LogWatcher> All => watchers.Values;

    public IEnumerable<LogWatcher> Following => watchers.Values.Where(watcher => watcher.Filter is not null);

    /// <summary>Whether somebody watches through another node.</summary>
    public bool Elsewhere
    {
        get => elsewhere;
        set
        {
            elsewhere = value;
            Changed();
        }
    }

    public void Add(LogWatcher watcher) => watchers[watcher.Id] = watcher;

    public void Remove(LogWatcher watcher)
    {
        watchers.TryRemove(watcher.Id, out _);
        watcher.Close();
        Changed();
    }

    /// <summary>Opens the tap while somebody watches anywhere.</summary>
    public void Changed()
    {
        // One at a time, or who saw the last watcher leave could close the tap after the next one opened it.
        lock (tap)
            log.IsWatched = elsewhere || Following.Any();
    }
}

/// <summary>One connection that watches. Its queue is bounded and drops the oldest; a connection that takes nothing for a while is closed.</summary>
internal sealed partial class LogWatcher
{
    private static readonly TimeSpan SignOfLife = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly HubConnectionContext connection;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly LineQueue queue;

    public LogWatcher(HubConnectionContext connection, Guid sessionId, string node, TimeProvider time, ILogger logger)
    {
        (this.connection, this.time, this.logger, SessionId) = (connection, time, logger, sessionId);
        queue = new LineQueue(node, time);
        _ = PumpAsync();
    }

    public string Id => connection.ConnectionId;

    public IHubProtocol Protocol => connection.Protocol;

    public Guid SessionId { get; }

    /// <summary>Null until it asks for lines.</summary>
    public LogFilter? Filter { get; set; }

    /// <summary>Where the other nodes' lines arrive.</summary>
    public WatcherInbox Inbox => field ??= new WatcherInbox(this);

    /// <summary>The attempt to have the other nodes' lines brought to it. Used by the backplane's loop alone.</summary>
    public Task? Joining { get; set; }

    /// <summary>Whether the other nodes' lines reach it.</summary>
    public bool Joined => Joining is { IsCompletedSuccessfully: true };

    public void Offer(LogLine line) => queue.Offer(line);

    public void Abort() => connection.Abort();

    public void Close() => queue.Close();

    private async Task PumpAsync()
    {
        try
        {
            while (true)
            {
                using var pause = new CancellationTokenSource(SignOfLife, time);
                try
                {
                    if (!await queue.WaitAsync(pause.Token))
                        return;
                }
                catch (OperationCanceledException)
                {
                    // A quiet log: an empty message finds out whether the other end still reads.
                }

                await SendAsync(queue.Take());
            }
        }
        catch (Exception exception)
        {
            // A client that is gone or takes nothing is no failure of the server. The connection is of no use any more, and its client connects again.
            if (exception is not (IOException or OperationCanceledException))
                Failed(logger, exception);
            connection.Abort();
        }
    }

    private async Task SendAsync(LogLine[] lines)
    {
        using var timeout = new CancellationTokenSource(Patience, time);
        await connection.WriteAsync(new InvocationMessage(nameof(IAdminClient.Logged), [lines]), timeout.Token).AsTask().WaitAsync(timeout.Token);
    }

    [LoggerMessage(6103, LogLevel.Error, "A connection that watches the logs is closed because nothing can be written to it")]
    private static partial void Failed(ILogger logger, Exception exception);
}
