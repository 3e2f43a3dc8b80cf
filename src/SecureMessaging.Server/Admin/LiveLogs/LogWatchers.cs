using System.Collections.Concurrent;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Diagnostics;

namespace SecureMessaging.Server.Admin.LiveLogs;

/// <summary>The connections to this node that watch the logs.</summary>
internal sealed class LogWatchers(LiveLog log, TimeProvider time) : IDisposable
{
    private readonly ConcurrentDictionary<string, LogWatcher> watchers = new(StringComparer.Ordinal);
    private readonly Lock gate = new();
    private readonly SemaphoreSlim changed = new(0, 1);
    private volatile bool elsewhere;

    public IEnumerable<LogWatcher> All => watchers.Values;

    public IEnumerable<LogWatcher> Following => watchers.Values.Where(watcher => watcher.Filter is not null);

    /// <summary>Whether other nodes have watchers.</summary>
    public bool Elsewhere
    {
        get => elsewhere;
        set
        {
            elsewhere = value;
            SetWatched();
        }
    }

    public void Add(LogWatcher watcher) => watchers[watcher.Id] = watcher;

    public void Remove(LogWatcher watcher)
    {
        watchers.TryRemove(watcher.Id, out _);
        watcher.Close();
        NoteChange();
    }

    public void EndSession(Guid sessionId, SessionEndReason _)
    {
        foreach (var watcher in watchers.Values.Where(watcher => watcher.SessionId == sessionId))
            watcher.Abort();
    }

    /// <summary>Gives each watcher the lines that pass its filter. Never waits.</summary>
    public void Offer(IReadOnlyList<LogLine> lines)
    {
        foreach (var watcher in watchers.Values)
        {
            if (watcher.Filter is not { } filter)
                continue;
            foreach (var line in lines.Where(line => LogLines.Passes(filter, line)))
                watcher.Offer(line);
        }
    }

    /// <summary>A watcher came, went or took another filter.</summary>
    public void NoteChange()
    {
        SetWatched();
        lock (gate)
        {
            if (changed.CurrentCount == 0)
                changed.Release();
        }
    }

    /// <summary>Waits for the next change, or for <paramref name="longest"/>.</summary>
    public Task WaitForChangeAsync(TimeSpan longest, CancellationToken cancellationToken) => changed.WaitAsync(longest, time, cancellationToken);

    public void Dispose() => changed.Dispose();

    /// <summary>The node copies its log while there is a watcher on any node.</summary>
    private void SetWatched()
    {
        // Under a lock: a thread that saw the last watcher leave must not turn the copies off after another thread turned them on.
        lock (gate)
            log.IsWatched = elsewhere || Following.Any();
    }
}

/// <summary>A connection that watches, with a bounded queue. It is closed when a write does not finish within 5 s.</summary>
internal sealed partial class LogWatcher
{
    private static readonly TimeSpan Probe = TimeSpan.FromSeconds(5);
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

    public Guid SessionId { get; }

    /// <summary>Null until it asks for lines.</summary>
    public LogFilter? Filter { get; set; }

    public void Offer(LogLine line) => queue.Offer(line);

    public void Abort() => connection.Abort();

    public void Close() => queue.Close();

    private async Task PumpAsync()
    {
        try
        {
            while (true)
            {
                using var pause = new CancellationTokenSource(Probe, time);
                try
                {
                    if (!await queue.WaitAsync(pause.Token))
                        return;
                }
                catch (OperationCanceledException)
                {
                    // In a quiet log, an empty message probes whether the client still reads.
                }

                await SendAsync(queue.Take());
            }
        }
        catch (Exception exception)
        {
            // A client that disconnected or does not read is not a failure of the server. It connects again.
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

    [LoggerMessage(6103, LogLevel.Error, "Writing to a connection that watches the logs failed; it is closed")]
    private static partial void Failed(ILogger logger, Exception exception);
}
