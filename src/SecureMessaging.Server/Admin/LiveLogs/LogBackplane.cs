using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Cluster;
using SecureMessaging.Server.Platform.Keys;

namespace SecureMessaging.Server.Admin.LiveLogs;

/// <summary>
/// Sends the lines of each node to the watchers on other nodes. Without Redis, a watcher sees only the lines of the node to which it is connected.
/// </summary>
/// <remarks>
/// 1. The nodes are clients of <see cref="LogNodes"/>, on SignalR's stock Redis backplane.
/// 2. A node with watchers announces their filters to all nodes at each change and every 2 s. An announcement holds for 6 s.
/// 3. The other nodes send that node the lines that pass one of these filters. It filters them again for each of its watchers.
/// 4. Redis sees only sealed bytes. Lines are sealed for one receiving process, so an attacker cannot replay them to another one. A replayed announcement
/// makes a node that has just started send lines for 6 s to a process which may have ended.
/// 5. Only the two loops of this service wait for Redis. Lines wait in a bounded queue.
/// 6. The receiver counts lines that were lost on the way, and shows its watchers a line with their number.
/// </remarks>
internal sealed partial class LogBackplane : BackgroundService
{
    private const string Watching = nameof(Watching);
    private const string Logged = nameof(Logged);
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Validity = TimeSpan.FromSeconds(6);

    private readonly Guid node = Guid.NewGuid();
    private readonly RedisConnection redis;
    private readonly HubLifetimeManager<LogNodes> nodes;
    private readonly LogWatchers watchers;
    private readonly TimeProvider time;
    private readonly ILogger<LogBackplane> logger;
    private readonly NodeSeal announcements;
    private readonly NodeSeal batches;
    private readonly LineQueue outgoing;
    private readonly ConcurrentDictionary<Guid, Announced> others = new();

    /// <summary>The number of lines sent to, and received from, each other node. They grow by one entry for each start of a node.</summary>
    private readonly Dictionary<Guid, long> sent = [];
    private readonly Dictionary<Guid, long> received = [];

    public LogBackplane(
        RedisConnection redis, HubLifetimeManager<LogNodes> nodes, ServerSecret secret, LogWatchers watchers, LogLines lines, TimeProvider time,
        ILogger<LogBackplane> logger)
    {
        (this.redis, this.nodes, this.watchers, this.time, this.logger) = (redis, nodes, watchers, time, logger);
        announcements = new NodeSeal(secret, "live-logs/watching", node);
        batches = new NodeSeal(secret, "live-logs/logged", node);
        outgoing = new LineQueue(lines.Node, time);
    }

    /// <summary>Queues lines of this node for the watchers on other nodes. Never waits.</summary>
    public void Offer(IEnumerable<LogLine> batch)
    {
        if (!watchers.Elsewhere)
            return;
        foreach (var line in batch)
            outgoing.Offer(line);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!redis.IsEnabled)
            return;
        await Task.WhenAll(AnnounceAsync(stoppingToken), SendLinesAsync(stoppingToken));
    }

    private async Task AnnounceAsync(CancellationToken stoppingToken)
    {
        var inbox = new NodeInbox(node, Receive, logger);
        var (joined, announced) = (false, false);
        while (true)
        {
            joined = await JoinAsync(inbox, joined, stoppingToken);
            LogFilter[] filters = [.. watchers.Following.Select(watcher => watcher.Filter!).Distinct()];
            // After the last watcher has gone, one announcement without filters is sent.
            if (joined && (filters.Length > 0 || announced))
            {
                var isSent = await TryAsync(() => nodes.SendGroupAsync(LogNodes.All, Watching, [Seal(announcements, filters)], stoppingToken), stoppingToken);
                announced = filters.Length > 0 || !isSent;
            }

            await watchers.WaitForChangeAsync(Period, stoppingToken);
            ForgetSilent();
        }
    }

    /// <summary>
    /// Connects once: the library renews the subscriptions at every reconnect. Joins the group in every round, because an attacker with write access to
    /// Redis can remove a node from it with a message of SignalR. For a member of the group, joining does nothing.
    /// </summary>
    private async Task<bool> JoinAsync(NodeInbox inbox, bool connected, CancellationToken stoppingToken)
    {
        if ((connected || await TryAsync(() => nodes.OnConnectedAsync(inbox), stoppingToken))
            && await TryAsync(() => nodes.AddToGroupAsync(inbox.ConnectionId, LogNodes.All, stoppingToken), stoppingToken))
            return true;
        // Undone before the next attempt, because the manager treats a failed subscription to a group as existing.
        await TryAsync(() => nodes.OnDisconnectedAsync(inbox), stoppingToken);
        return false;
    }

    private async Task SendLinesAsync(CancellationToken stoppingToken)
    {
        while (await outgoing.WaitAsync(stoppingToken))
        {
            var batch = outgoing.Take();
            foreach (var (other, announced) in others)
            {
                LogLine[] passing = [.. batch.Where(line => announced.Filters.Any(filter => LogLines.Passes(filter, line)))];
                if (passing.Length == 0)
                    continue;
                var before = sent.GetValueOrDefault(other);
                sent[other] = before + passing.Length;
                var message = Seal(batches, new Batch(before, passing), other);
                // A lost message is not repeated. The next one shows the receiver how many lines are missing.
                await TryAsync(() => nodes.SendConnectionAsync(other.ToString(), Logged, [message], stoppingToken), stoppingToken);
            }
        }
    }

    /// <summary>False: the call failed. The library gives up after 5 s.</summary>
    private async Task<bool> TryAsync(Func<Task> call, CancellationToken stoppingToken)
    {
        try
        {
            await call().WaitAsync(stoppingToken);
            return true;
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
        {
            Unreachable(logger, exception.GetType().Name);
            return false;
        }
    }

    /// <summary>The sender's id, and the content for all nodes or for one of them.</summary>
    private byte[] Seal<T>(NodeSeal seal, T content, Guid? receiver = null) =>
        [.. node.ToByteArray(), .. seal.Seal(JsonSerializer.SerializeToUtf8Bytes(content, Wire.Json), receiver?.ToByteArray())];

    private void Receive(string target, byte[] message)
    {
        var sender = new Guid(message.AsSpan(0, 16));
        if (sender == node)
            return;
        if (target == Watching && announcements.TryOpen(sender, message.AsSpan(16), out var plain))
        {
            others[sender] = new Announced(JsonSerializer.Deserialize<LogFilter[]>(plain, Wire.Json)!, time.GetTimestamp());
            NoteOthers();
        }
        else if (target == Logged && batches.TryOpen(sender, message.AsSpan(16), out plain, node.ToByteArray()))
        {
            Show(sender, JsonSerializer.Deserialize<Batch>(plain, Wire.Json)!);
        }
        else
        {
            Rejected(logger);
        }
    }

    private void Show(Guid sender, Batch batch)
    {
        long missing;
        lock (received)
        {
            missing = batch.Before - received.GetValueOrDefault(sender);
            received[sender] = batch.Before + batch.Lines.Length;
        }

        if (missing > 0)
            watchers.Offer([LogLines.Dropped(batch.Lines[0].Node, time.GetUtcNow().UtcDateTime, missing)]);
        watchers.Offer(batch.Lines);
    }

    private void ForgetSilent()
    {
        foreach (var other in others.Where(other => time.GetElapsedTime(other.Value.At) > Validity))
            others.TryRemove(other);
        NoteOthers();
    }

    private void NoteOthers() => watchers.Elsewhere = others.Values.Any(other => other.Filters.Length > 0);

    public override void Dispose()
    {
        announcements.Dispose();
        batches.Dispose();
        base.Dispose();
    }

    [LoggerMessage(6102, LogLevel.Debug, "A call to Redis for the live logs failed ({ExceptionType})")]
    private static partial void Unreachable(ILogger logger, string exceptionType);

    [LoggerMessage(6105, LogLevel.Debug, "A message of the backplane was ignored: no node sealed it for this node, or it is a replay")]
    private static partial void Rejected(ILogger logger);

    /// <param name="Before">The number of lines that this sender sent to this receiver before.</param>
    /// <param name="Lines">At least one line.</param>
    private sealed record Batch(long Before, LogLine[] Lines);

    private sealed record Announced(LogFilter[] Filters, long At);
}
