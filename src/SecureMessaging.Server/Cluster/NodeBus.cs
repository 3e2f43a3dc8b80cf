using System.Collections.Concurrent;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Encryption;
using SecureMessaging.Server.Platform.Keys;
using SecureMessaging.Server.RoomLog;
using StackExchange.Redis;

namespace SecureMessaging.Server.Cluster;

/// <summary>An event that another node reports. It has no effect before the database confirms it.</summary>
/// <param name="Kind">A join, a deleted room or an ended session.</param>
/// <param name="Id">The room or the session.</param>
/// <param name="UserId">The user who joined.</param>
/// <param name="Seq">The sequence number of the join.</param>
/// <param name="Reason">The reason for the end of the session.</param>
internal readonly record struct BusNotice(BusMessageKind Kind, Guid Id, Guid UserId = default, long Seq = 0, SessionEndReason Reason = default);

/// <summary>
/// Carries committed entries and events between the nodes, through Redis. It is an optimisation: <see cref="Reconciler"/> finds in the database what is lost
/// here.
/// </summary>
/// <remarks>
/// The bus is healthy while this node receives its own pings. A dead, paused, partitioned or half-subscribed Redis fails this test alike. While the bus is not
/// healthy, the node publishes nothing but pings.
/// </remarks>
internal sealed partial class NodeBus : BackgroundService
{
    private const int MaxOthers = 256;

    /// <summary>The connection puts <see cref="BusOptions.ChannelPrefix"/> in front of it.</summary>
    private static readonly RedisChannel Channel = RedisChannel.Literal("nodes");

    /// <summary>A node waits this long for entries that another node has just committed. Then it reads them from the database.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan PingPeriod = TimeSpan.FromMilliseconds(400);
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(1300);
    private static readonly TimeSpan Forgotten = TimeSpan.FromSeconds(10);

    private readonly Guid node = Guid.NewGuid();
    private readonly BusSeal seal;
    private readonly BusPublisher publisher;
    private readonly Subscribers subscribers;
    private readonly DeliveryShards shards;
    private readonly TimeProvider time;
    private readonly ILogger<NodeBus> logger;
    private readonly RedisConnection redis;
    private readonly ConcurrentDictionary<Guid, long> others = new();
    private long pingedAt;
    private volatile bool healthy;
    private volatile string cause = RedisConnection.NoPings;
    private Task diagnosis = Task.CompletedTask;

    public NodeBus(
        RedisConnection redis, Subscribers subscribers, DeliveryShards shards, ServerSecret secret, TimeProvider time, ILogger<NodeBus> logger)
    {
        (this.redis, this.subscribers, this.shards, this.time, this.logger) = (redis, subscribers, shards, time, logger);
        seal = new BusSeal(secret, node);
        publisher = new BusPublisher(node, seal, Channel, logger);
    }

    /// <summary>Identifies this process among the nodes.</summary>
    public Guid Id => node;

    /// <summary>Whether Redis is configured.</summary>
    public bool IsEnabled => redis.IsEnabled;

    /// <summary>False while Redis is away. Everything works then, with more latency.</summary>
    public bool IsHealthy => healthy;

    /// <summary>The reason, for the operator.</summary>
    public string Trouble => $"Redis cannot be used: {cause} (ConnectionStrings:Redis). Other nodes' entries are polled from the database.";

    /// <summary>Whether this node received a ping of the other one in the last 10 s.</summary>
    public bool Reaches(Guid other) => others.TryGetValue(other, out var at) && time.GetElapsedTime(at) < Forgotten;

    /// <summary>Raised when the bus fails, and when it works again. In both cases the reconciler reads the database.</summary>
    public event Action? HealthChanged;

    /// <summary>Raised when another node reports a join, a deleted room or an ended session.</summary>
    public event Action<BusNotice>? Noticed;

    public void PublishSignal(Guid roomId, byte[] signal) => Enqueue(BusMessage.Signal(node, roomId, signal));

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!IsEnabled)
            return;
        try
        {
            var subscriber = (await redis.GetAsync(stoppingToken)).GetSubscriber();
            // The library makes the subscription again at every reconnect, also when Redis is away now.
            // It delivers one message at a time: entries that arrive in order need no read of the database.
            (await subscriber.SubscribeAsync(Channel, CommandFlags.FireAndForget)).OnMessage(message => Receive(message.Message));
            publisher.Open(subscriber);
        }
        catch (OperationCanceledException)
        {
            // The node stops before the connection is open.
            return;
        }

        await PingAsync(stoppingToken);
        healthy = false;
        publisher.Close();
        await diagnosis;
    }

    private async Task PingAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(PingPeriod, time);
        var ping = BusMessage.Ping(node);
        var started = time.GetTimestamp();
        bool? reported = null;
        while (await NextAsync(timer, stoppingToken))
        {
            publisher.Send(ping);
            var pinged = Interlocked.Read(ref pingedAt);
            var now = pinged != 0 && time.GetElapsedTime(pinged) < Silence;
            // A node that starts without Redis reports it too, after the same time.
            if (now == reported || (reported is null && !now && time.GetElapsedTime(started) < Silence))
                continue;
            reported = healthy = now;
            shards.Grace = now ? Grace : TimeSpan.Zero;
            if (now)
            {
                BusRestored(logger);
            }
            else
            {
                publisher.Clear();
                diagnosis = DiagnoseAsync();
            }

            HealthChanged?.Invoke();
        }
    }

    /// <summary>Hands committed entries to the other nodes. Never waits.</summary>
    public ValueTask PublishAsync(CommittedEntries entries, WriteBatch? writes)
    {
        if (!healthy)
            return ValueTask.CompletedTask;
        publisher.Add(entries, writes);
        foreach (var entry in entries.Entries)
        {
            if (entry is { Kind: EntryKind.MemberJoined, UserId: { } userId })
                publisher.Add(BusMessage.Joined(node, entries.RoomId, userId, entry.Seq));
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>A head beyond any log makes the other nodes read the room's log.</summary>
    public void PublishStale(Guid roomId)
    {
        if (healthy)
            publisher.AddHead(roomId, long.MaxValue);
    }

    public void PublishRoomDeleted(Guid roomId) => Enqueue(BusMessage.RoomDeleted(node, roomId));

    public void PublishSessionEnded(Guid sessionId, SessionEndReason reason) => Enqueue(BusMessage.SessionEnded(node, sessionId, reason));

    public void PublishDeviceHint(DeviceHint hint) => Enqueue(BusMessage.DeviceHint(node, hint));

    private void Enqueue(byte[] message)
    {
        if (healthy)
            publisher.Add(message);
    }

    private void Receive(RedisValue value)
    {
        byte[] message = value!;
        if (!BusMessage.TryReadHeader(message, out var kind, out var sender, out var body))
        {
            Rejected(logger);
            return;
        }

        if (sender == node)
        {
            if (kind == BusMessageKind.Ping)
            {
                Interlocked.Exchange(ref pingedAt, time.GetTimestamp());
                publisher.NotePing();
            }

            return;
        }

        switch (kind)
        {
            case BusMessageKind.Ping:
                NotePing(sender);
                break;
            case BusMessageKind.Heads:
                while (body.Length > 0)
                {
                    var (roomId, seq) = BusMessage.ReadHead(ref body);
                    shards.NoteHead(roomId, seq);
                }

                break;
            case BusMessageKind.Entries when seal.TryOpen(sender, body, out var received):
                var writes = new WriteBatch();
                foreach (var committed in received)
                    shards.Offer(committed, writes);
                writes.Flush();
                break;
            case BusMessageKind.Entries:
                Rejected(logger);
                break;
            case BusMessageKind.Joined:
                var (room, joinedSeq) = BusMessage.ReadHead(ref body);
                Noticed?.Invoke(new BusNotice(kind, room, new Guid(body), joinedSeq));
                break;
            case BusMessageKind.RoomDeleted:
                Noticed?.Invoke(new BusNotice(kind, new Guid(body)));
                break;
            case BusMessageKind.SessionEnded:
                if (Enum.IsDefined((SessionEndReason)body[16]))
                    Noticed?.Invoke(new BusNotice(kind, new Guid(body[..16]), Reason: (SessionEndReason)body[16]));
                break;
            case BusMessageKind.Signal:
                shards.Signal(new Guid(body[..16]), body[16..].ToArray());
                break;
            case BusMessageKind.DeviceHint:
                subscribers.HintDevice(BusMessage.ReadDeviceHint(body));
                break;
        }
    }

    private void NotePing(Guid sender)
    {
        // Bounded, because an attacker with write access to Redis can make up nodes.
        if (others.Count >= MaxOthers && !others.ContainsKey(sender))
        {
            foreach (var silent in others.Where(other => time.GetElapsedTime(other.Value) > Forgotten))
                others.TryRemove(silent);
        }

        if (others.Count < MaxOthers || others.ContainsKey(sender))
            others[sender] = time.GetTimestamp();
    }

    private async Task DiagnoseAsync()
    {
        cause = await redis.DiagnoseAsync();
        if (!healthy)
            BusLost(logger, Trouble);
    }

    private static async Task<bool> NextAsync(PeriodicTimer timer, CancellationToken stoppingToken)
    {
        try
        {
            return await timer.WaitForNextTickAsync(stoppingToken);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    public override void Dispose()
    {
        publisher.Close();
        seal.Dispose();
        base.Dispose();
    }

    [LoggerMessage(4200, LogLevel.Warning, "{Cause:l}")]
    private static partial void BusLost(ILogger logger, string cause);

    [LoggerMessage(4201, LogLevel.Information, "Redis answers: messages of other nodes arrive")]
    private static partial void BusRestored(ILogger logger);

    [LoggerMessage(4205, LogLevel.Debug, "A message of the bus is ignored: it cannot be read, no node sealed it, or it is a replay")]
    private static partial void Rejected(ILogger logger);
}
