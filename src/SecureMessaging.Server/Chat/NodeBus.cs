using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Devices;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Rooms;
using StackExchange.Redis;

namespace SecureMessaging.Server.Chat;

/// <summary>What another node says has happened; to be looked up in the database before anything follows from it.</summary>
/// <param name="Kind">A joining, the end of a room or of a session.</param>
/// <param name="Id">The room or the session.</param>
/// <param name="UserId">Who joined.</param>
/// <param name="Seq">Of a joining: its place in the log.</param>
/// <param name="Reason">Why the session is over.</param>
internal readonly record struct BusHint(BusMessageKind Kind, Guid Id, Guid UserId = default, long Seq = 0, SessionEndReason Reason = default);

/// <summary>
/// Hands what was committed here to the other nodes, through Redis, and hears from them. Only ever a hurry-up: what is lost here, <see cref="LogSweep"/> finds
/// in the database.
/// </summary>
/// <remarks>
/// The bus is taken as healthy for as long as this node hears its own pings, which a dead, paused, partitioned or half-subscribed Redis all fail alike. While it is not,
/// nothing is published.
/// </remarks>
internal sealed partial class NodeBus : BackgroundService
{
    private const int MaxOthers = 256;

    private const string NoPings =
        "it takes connections, and what this node publishes does not come back. It may be paused, or its user may not use the channel";

    /// <summary>How long a node waits for what another has just committed, before it reads it from the database.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan PingPeriod = TimeSpan.FromMilliseconds(400);
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(1300);
    private static readonly TimeSpan Forgotten = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ConnectRetry = TimeSpan.FromSeconds(1);

    private readonly Guid node = Guid.NewGuid();
    private readonly BusSeal seal;
    private readonly BusOutbox outbox;
    private readonly ChatConnections connections;
    private readonly RoomTails tails;
    private readonly TimeProvider time;
    private readonly ILogger<NodeBus> logger;
    private readonly ConfigurationOptions? settings;
    private readonly RedisChannel channel;
    private readonly ConcurrentDictionary<Guid, long> others = new();
    private long heardAt;
    private volatile bool healthy;
    private volatile string cause = NoPings;
    private volatile string? refused;
    private Task diagnosis = Task.CompletedTask;

    public NodeBus(
        IConfiguration configuration, IOptions<BusOptions> options, CommitFeed feed, SessionEvents sessionEvents, RoomEvents roomEvents, DeviceEvents deviceEvents,
        ChatConnections connections, RoomTails tails, ServerSecret secret, TimeProvider time, ILogger<NodeBus> logger)
    {
        (this.connections, this.tails, this.time, this.logger) = (connections, tails, time, logger);
        seal = new BusSeal(secret, node);
        if (configuration.GetConnectionString("Redis") is { } given && !string.IsNullOrWhiteSpace(given))
            settings = RedisSettings.Parse(given, "secure-messaging");
        channel = RedisChannel.Literal($"{options.Value.ChannelPrefix}:nodes");
        outbox = new BusOutbox(node, seal, channel, logger);
        if (!IsEnabled)
            return;
        feed.Attach(Note);
        feed.Doubted += Doubt;
        sessionEvents.Ended += (sessionId, reason) => Enqueue(BusMessage.SessionEnded(node, sessionId, reason));
        deviceEvents.Nudged += nudge => Enqueue(BusMessage.Nudge(node, nudge));
        roomEvents.Deleted += roomId => Enqueue(BusMessage.RoomDeleted(node, roomId));
    }

    /// <summary>Names this process among the nodes.</summary>
    public Guid Id => node;

    /// <summary>Whether there is a Redis through which other nodes can be heard.</summary>
    public bool IsEnabled => settings is not null;

    /// <summary>Whether other nodes are being heard. False while Redis is away; everything still works then, later.</summary>
    public bool IsHealthy => healthy;

    /// <summary>Why they are not, for the operator.</summary>
    public string Trouble => $"Redis cannot be used: {cause} (ConnectionStrings:Redis). Other nodes' entries are polled from the database.";

    /// <summary>Whether this other node has pinged on the same channel of the same Redis a short while ago.</summary>
    public bool Hears(Guid other) => others.TryGetValue(other, out var at) && time.GetElapsedTime(at) < Forgotten;

    /// <summary>Raised when the bus is lost, since when looking up has to take its place, and when it is back: what happened in between has to be looked up.</summary>
    public event Action? HealthChanged;

    /// <summary>Raised when another node tells what could let somebody in or throw somebody out.</summary>
    public event Action<BusHint>? Hinted;

    public void PublishSignal(Guid roomId, byte[] signal)
    {
        if (IsEnabled)
            Enqueue(BusMessage.Signal(node, roomId, signal));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!IsEnabled)
            return;
        await using var redis = await ConnectAsync(stoppingToken);
        if (redis is null)
            return;
        outbox.Open(redis.GetSubscriber());
        await PingAsync(stoppingToken);
        healthy = false;
        outbox.Close();
        await diagnosis;
    }

    private async Task<ConnectionMultiplexer?> ConnectAsync(CancellationToken stoppingToken)
    {
        settings!.KeepAlive = 2;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                var redis = await ConnectionMultiplexer.ConnectAsync(settings);
                redis.ErrorMessage += (_, error) => refused = error.Message;
                // Kept by the multiplexer and made again at every reconnect, also when it could not be made now.
                // One message at a time: a log that arrives in order need not be read from the database.
                (await redis.GetSubscriber().SubscribeAsync(channel, CommandFlags.FireAndForget)).OnMessage(message => Receive(message.Message));
                return redis;
            }
            catch (RedisException exception)
            {
                ConnectFailed(logger, exception.GetType().Name);
                await Task.Delay(ConnectRetry, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        return null;
    }

    private async Task PingAsync(CancellationToken stoppingToken)
    {
        // Real time throughout: this measures Redis, not the calendar.
        using var timer = new PeriodicTimer(PingPeriod);
        var ping = BusMessage.Ping(node);
        var started = time.GetTimestamp();
        bool? told = null;
        while (await NextAsync(timer, stoppingToken))
        {
            outbox.Send(ping);
            var heard = Interlocked.Read(ref heardAt);
            var now = heard != 0 && time.GetElapsedTime(heard) < Silence;
            // A node that boots without Redis says so too, when it has waited as long as for any ping.
            if (now == told || (told is null && !now && time.GetElapsedTime(started) < Silence))
                continue;
            told = healthy = now;
            tails.Grace = now ? Grace : TimeSpan.Zero;
            if (now)
            {
                BusRestored(logger);
            }
            else
            {
                outbox.Clear();
                diagnosis = DiagnoseAsync();
            }

            HealthChanged?.Invoke();
        }
    }

    private ValueTask Note(CommittedEntries entries)
    {
        if (!healthy)
            return ValueTask.CompletedTask;
        outbox.Add(entries);
        foreach (var entry in entries.Entries)
        {
            if (entry is { Kind: EntryKind.MemberJoined, UserId: { } userId })
                outbox.Add(BusMessage.Joined(node, entries.RoomId, userId, entry.Seq));
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>A head beyond any log makes the tails look.</summary>
    private void Doubt(Guid roomId)
    {
        if (healthy)
            outbox.AddHead(roomId, long.MaxValue);
    }

    private void Enqueue(byte[] message)
    {
        if (healthy)
            outbox.Add(message);
    }

    private void Receive(RedisValue value)
    {
        byte[] message = value!;
        if (!BusMessage.TryReadHeader(message, out var kind, out var sender, out var body))
            return;
        if (sender == node)
        {
            if (kind == BusMessageKind.Ping)
            {
                Interlocked.Exchange(ref heardAt, time.GetTimestamp());
                outbox.NotePing();
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
                    tails.NoteHead(roomId, seq);
                }

                break;
            case BusMessageKind.Entries when seal.TryOpen(sender, body, out var received):
                WriteBatch.Run(() => received.ForEach(tails.Offer));
                break;
            case BusMessageKind.Joined:
                var (room, joinedSeq) = BusMessage.ReadHead(ref body);
                Hinted?.Invoke(new BusHint(kind, room, new Guid(body), joinedSeq));
                break;
            case BusMessageKind.RoomDeleted:
                Hinted?.Invoke(new BusHint(kind, new Guid(body)));
                break;
            case BusMessageKind.SessionEnded:
                if (Enum.IsDefined((SessionEndReason)body[16]))
                    Hinted?.Invoke(new BusHint(kind, new Guid(body[..16]), Reason: (SessionEndReason)body[16]));
                break;
            case BusMessageKind.Signal:
                tails.Signal(new Guid(body[..16]), body[16..].ToArray());
                break;
            case BusMessageKind.Nudge:
                connections.Nudge(BusMessage.ReadNudge(body));
                break;
        }
    }

    private void NotePing(Guid sender)
    {
        // An attacker with write access to Redis can make up nodes, so what is remembered is bounded.
        if (others.Count >= MaxOthers && !others.ContainsKey(sender))
        {
            foreach (var silent in others.Where(other => time.GetElapsedTime(other.Value) > Forgotten))
                others.TryRemove(silent);
        }

        if (others.Count < MaxOthers || others.ContainsKey(sender))
            others[sender] = time.GetTimestamp();
    }

    /// <summary>Says why Redis is lost. The connection that is kept only knows that it is not connected; a new one is refused with a reason.</summary>
    private async Task DiagnoseAsync()
    {
        try
        {
            var trial = settings!.Clone();
            (trial.AbortOnConnectFail, trial.ConnectRetry) = (true, 1);
            await using var redis = await ConnectionMultiplexer.ConnectAsync(trial);
            cause = refused is { } text ? Explain(ConnectionFailureType.None, new RedisException(text)) : NoPings;
        }
        catch (Exception exception)
        {
            // Whatever the attempt fails of, the operator needs the line below.
            cause = Explain((exception as RedisConnectionException)?.FailureType ?? ConnectionFailureType.UnableToConnect, exception);
        }

        if (!healthy)
            BusLost(logger, Trouble);
    }

    /// <summary>Of what Redis or the library says, only what kind of failure it is: the text may hold names and addresses.</summary>
    private string Explain(ConnectionFailureType type, Exception? exception)
    {
        for (var inner = exception; inner is not null; inner = inner.InnerException)
        {
            if (Array.Exists(["WRONGPASS", "NOAUTH", "without any password"], word => inner.Message.Contains(word, StringComparison.Ordinal)))
                return "it rejects the user or the password";
            if (inner.Message.Contains("NOPERM", StringComparison.Ordinal))
                return "its user has no right to publish, to subscribe, or to use the channel";
        }

        return type switch
        {
            // The library does not tell these apart.
            not ConnectionFailureType.None when settings!.Ssl =>
                "nothing answers at its address, or TLS fails: its certificate is not trusted, or it does not speak TLS",
            ConnectionFailureType.UnableToConnect or ConnectionFailureType.UnableToResolvePhysicalConnection => "nothing answers at its address",
            ConnectionFailureType.AuthenticationFailure => "it rejects the user or the password",
            ConnectionFailureType.SocketFailure or ConnectionFailureType.SocketClosed => "it closed the connection",
            ConnectionFailureType.ProtocolFailure => "what answers does not speak the protocol of Redis",
            _ => NoPings,
        };
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
        outbox.Close();
        seal.Dispose();
        base.Dispose();
    }

    [LoggerMessage(4200, LogLevel.Warning, "{Cause:l}")]
    private static partial void BusLost(ILogger logger, string cause);

    [LoggerMessage(4201, LogLevel.Information, "Redis answers: other nodes are heard")]
    private static partial void BusRestored(ILogger logger);

    [LoggerMessage(4202, LogLevel.Warning, "Redis cannot be set up ({ExceptionType}); trying again")]
    private static partial void ConnectFailed(ILogger logger, string exceptionType);
}
