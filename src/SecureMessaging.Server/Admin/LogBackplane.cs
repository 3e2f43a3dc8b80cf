using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.SignalR.StackExchangeRedis;
using SecureMessaging.Protocol;
using StackExchange.Redis;

namespace SecureMessaging.Server.Admin;

/// <summary>
/// Brings the lines of each node to watchers on the others through SignalR's Redis backplane. Without Redis, or while it is away, watchers have the lines of
/// the node that they are connected to.
/// </summary>
/// <remarks>
/// 1. A node with watchers announces their connections and filters every two seconds on a channel that all nodes hear; an announcement holds for six.
/// 2. The others filter their own lines and send what passes to those connections by <see cref="RedisHubLifetimeManager{THub}"/>, through which it reaches
/// the watcher's <see cref="WatcherInbox"/>.
/// 3. Connects, sends and the own node's lines never wait for Redis: its manager is asked in the loops of this service alone, only while Redis answers, and
/// with a timeout. What waits for it is bounded.
/// </remarks>
internal sealed partial class LogBackplane(
    IServiceProvider services, IConfiguration configuration, LogWatchers watchers, LogLines lines, TimeProvider time, ILogger<LogBackplane> logger)
    : BackgroundService
{
    private const string DefaultPrefix = "secure-messaging";
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Validity = TimeSpan.FromSeconds(6);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly Guid node = Guid.NewGuid();
    private readonly ConcurrentDictionary<Guid, Announced> others = new();
    private readonly ConcurrentQueue<LogWatcher> leaving = new();
    private readonly LineQueue outgoing = new(lines.Node, time);
    private readonly TaskCompletionSource<IConnectionMultiplexer> connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim wake = new(0);
    private readonly string? connectionString = configuration.GetConnectionString("Redis") is { Length: > 0 } given ? given : null;
    private readonly RedisChannel channel = RedisChannel.Literal((configuration["Redis:ChannelPrefix"] ?? DefaultPrefix) + ":log-watchers");
    private RedisHubLifetimeManager<AdminHub>? manager;
    private bool announced;

    /// <summary>The connection that SignalR's manager uses too.</summary>
    public Task<IConnectionMultiplexer> ConnectionAsync() => connected.Task;

    /// <summary>Tells the other nodes at once.</summary>
    public void Announce() => wake.Release();

    public void Forget(LogWatcher watcher)
    {
        // With one node alone nobody would take it out again.
        if (connectionString is null)
            return;
        leaving.Enqueue(watcher);
        Announce();
    }

    /// <summary>Takes lines of this node for the watchers of the others.</summary>
    public void Offer(IEnumerable<LogLine> batch)
    {
        if (!watchers.Elsewhere)
            return;
        foreach (var line in batch)
            outgoing.Offer(line);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (connectionString is null)
            return;
        var redis = await ConnectAsync(connectionString, stoppingToken);
        if (redis is null)
            return;
        connected.SetResult(redis);
        await Task.WhenAll(AnnounceAsync(redis, stoppingToken), SendAsync(stoppingToken));
        // The manager has nothing but this connection, and its own end would wait for a Redis that is away.
        await GuardAsync(() => redis.CloseAsync(allowCommandsToComplete: false));
    }

    private async Task AnnounceAsync(ConnectionMultiplexer redis, CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            ForgetSilent();
            while (leaving.TryDequeue(out var watcher))
                Leave(watcher);
            if (redis.IsConnected)
            {
                manager ??= ActivatorUtilities.CreateInstance<RedisHubLifetimeManager<AdminHub>>(services);
                await JoinAsync(manager);
                Publish(redis);
            }

            await ((Task)wake.WaitAsync(Period, stoppingToken)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task SendAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (await outgoing.WaitAsync(stoppingToken))
                await SendAsync(outgoing.Take());
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The node stops.
        }
    }

    private async Task SendAsync(LogLine[] batch)
    {
        if (manager is not { } redis)
            return;
        foreach (var watcher in others.Values.SelectMany(other => other.Watchers))
        {
            LogLine[] passing = [.. batch.Where(line => LogLines.Passes(watcher.Filter, line))];
            // One that fails makes the rest wait for nothing: Redis is away.
            if (passing.Length > 0 && !await GuardAsync(() => redis.SendConnectionAsync(watcher.ConnectionId, nameof(IAdminClient.Logged), [passing])))
                return;
        }
    }

    private async Task<ConnectionMultiplexer?> ConnectAsync(string settings, CancellationToken stoppingToken)
    {
        var options = ConfigurationOptions.Parse(settings);
        options.AbortOnConnectFail = false;
        options.BacklogPolicy = BacklogPolicy.FailFast;
        options.ConnectTimeout = Math.Min(options.ConnectTimeout, 2000);
        options.ReconnectRetryPolicy = new LinearRetry(500);
        options.ClientName = "secure-messaging-logs";
        options.ChannelPrefix = RedisChannel.Literal((configuration["Redis:ChannelPrefix"] ?? DefaultPrefix) + ":");
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                var redis = await ConnectionMultiplexer.ConnectAsync(options);
                // Kept by the multiplexer and made again at every reconnect, also when it could not be made now.
                await redis.GetSubscriber().SubscribeAsync(channel, (_, message) => Receive(message), CommandFlags.FireAndForget);
                return redis;
            }
            catch (RedisException exception)
            {
                Unreachable(logger, exception.GetType().Name);
                await Task.Delay(Period, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        return null;
    }

    private async Task JoinAsync(RedisHubLifetimeManager<AdminHub> redis)
    {
        foreach (var watcher in watchers.Following.Where(watcher => !watcher.Joined))
        {
            // Asked twice, Redis brings every line twice. So an attempt that has no answer yet is waited for, and one that failed is undone before the next.
            if (watcher.Joining is { IsCompleted: true } && !await GuardAsync(() => redis.OnDisconnectedAsync(watcher.Inbox)))
                return;
            if (watcher.Joining is null or { IsCompleted: true })
                watcher.Joining = redis.OnConnectedAsync(watcher.Inbox);
            // One that fails makes the rest wait for nothing: Redis is away.
            if (!await GuardAsync(() => watcher.Joining))
                return;
        }
    }

    private void Leave(LogWatcher watcher)
    {
        if (watcher.Joining is not null && manager is { } redis)
            _ = GuardAsync(() => redis.OnDisconnectedAsync(watcher.Inbox));
    }

    private void Publish(ConnectionMultiplexer redis)
    {
        Watcher[] own = [.. watchers.Following.Where(watcher => watcher.Joined).Select(watcher => new Watcher(watcher.Id, watcher.Filter!))];
        // The last that went is told of once; after that there is nothing to say.
        if (own.Length == 0 && !announced)
            return;
        announced = own.Length > 0;
        try
        {
            redis.GetSubscriber().Publish(channel, JsonSerializer.SerializeToUtf8Bytes(new Announcement(node, own), Wire.Json), CommandFlags.FireAndForget);
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException or ObjectDisposedException)
        {
            Unreachable(logger, exception.GetType().Name);
        }
    }

    private void Receive(RedisValue message)
    {
        try
        {
            if (JsonSerializer.Deserialize<Announcement>((byte[])message!, Wire.Json) is not { } heard || heard.Node == node)
                return;
            others[heard.Node] = new Announced(heard.Watchers, time.GetTimestamp());
            watchers.Elsewhere = others.Values.Any(other => other.Watchers.Length > 0);
        }
        catch (JsonException)
        {
            // Not one of ours, or of another version.
        }
    }

    private void ForgetSilent()
    {
        foreach (var other in others.Where(other => time.GetElapsedTime(other.Value.HeardAt) > Validity))
            others.TryRemove(other);
        watchers.Elsewhere = others.Values.Any(other => other.Watchers.Length > 0);
    }

    /// <summary>Whether Redis did it in time.</summary>
    private async Task<bool> GuardAsync(Func<Task> call)
    {
        try
        {
            await call().WaitAsync(Patience);
            return true;
        }
        catch (Exception exception)
        {
            Unreachable(logger, exception.GetType().Name);
            return false;
        }
    }

    public override void Dispose()
    {
        wake.Dispose();
        base.Dispose();
    }

    [LoggerMessage(6102, LogLevel.Debug, "Redis did not take the lines for watchers on other nodes ({ExceptionType})")]
    private static partial void Unreachable(ILogger logger, string exceptionType);

    private sealed record Watcher(string ConnectionId, LogFilter Filter);

    private sealed record Announcement(Guid Node, Watcher[] Watchers);

    private sealed record Announced(Watcher[] Watchers, long HeardAt);
}
