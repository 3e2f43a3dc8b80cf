using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Diagnostics;

namespace SecureMessaging.Server.Notifications;

/// <summary>
/// Sends a push to the offline sessions of a room's members after a message was committed on this node. Pushes are an optimisation: they lower latency and may
/// be dropped. Clients read the log whenever they run.
/// </summary>
/// <remarks>
/// 1. The writer notes the room and the sender. This takes only a short lock.
/// 2. At most 4 times a second, all noted rooms are looked up together. If no session has an endpoint, the work ends there. Look-ups use at most a tenth of the
///    time.
/// 3. Sessions that are connected to this node, or whose account sent the messages, muted the room or has quiet hours, are skipped. Sessions that are connected
///    to other nodes are not known here: they get an unneeded push, at most one in <see cref="PushOptions.Interval"/>.
/// 4. The number of concurrent pushes is bounded. <see cref="WakeStates"/> limits the pushes of a session.
/// </remarks>
internal sealed partial class PushService : BackgroundService
{
    private const int MaxRooms = 10_000;
    private const int RoomsPerLookup = 500;
    private const int QueueLength = 10_000;

    /// <summary>The pause after a look-up, as a multiple of its duration.</summary>
    private const int LookupShare = 9;

    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private readonly PushStore store;
    private readonly PushSender sender;
    private readonly Subscribers connections;
    private readonly TimeProvider time;
    private readonly PushOptions options;
    private readonly ServerMetrics metrics;
    private readonly ILogger<PushService> logger;
    private readonly WakeStates states;
    private readonly SemaphoreSlim wake = new(0, 1);
    private readonly ConcurrentDictionary<int, bool> reported = [];
    private readonly Lock gate = new();
    private readonly Channel<(PushTarget Target, NotificationPriority Priority)> queue =
        Channel.CreateBounded<(PushTarget, NotificationPriority)>(new BoundedChannelOptions(QueueLength));

    // Rooms with new messages, and their sender. Null: several senders.
    private Dictionary<Guid, Guid?> noted = [];

    public PushService(
        PushStore store, PushSender sender, Subscribers connections, TimeProvider time, IOptions<PushOptions> options, ServerMetrics metrics,
        ILogger<PushService> logger)
    {
        (this.store, this.sender, this.connections, this.time, this.options, this.metrics, this.logger) = (
            store, sender, connections, time, options.Value, metrics, logger);
        states = new WakeStates(options.Value.Interval);
    }

    public bool IsEnabled => options.Enabled;

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        if (options is { Enabled: true, HasContact: false })
            NoContact(logger);
        return base.StartAsync(cancellationToken);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => options.Enabled
        ? Task.WhenAll([LookUpAsync(stoppingToken), .. Enumerable.Range(0, options.Concurrency).Select(_ => PushAsync(stoppingToken))])
        : Task.CompletedTask;

    /// <summary>A message of this room was committed on this node. Returns at once, because it runs on the writer's thread.</summary>
    public void Note(Guid roomId, Guid senderId)
    {
        lock (gate)
        {
            if (noted.TryGetValue(roomId, out var known))
            {
                if (known != senderId)
                    noted[roomId] = null;
                return;
            }

            if (noted.Count >= MaxRooms)
            {
                metrics.Pushed("dropped");
                return;
            }

            noted.Add(roomId, senderId);
            if (noted.Count == 1 && wake.CurrentCount == 0)
                wake.Release();
        }
    }

    private async Task LookUpAsync(CancellationToken stoppingToken)
    {
        var rest = Gather;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await wake.WaitAsync(states.IsEmpty ? Timeout.InfiniteTimeSpan : Period, time, stoppingToken);
                await Task.Delay(rest, time, stoppingToken);
                var started = time.GetTimestamp();
                await LookUpOnceAsync(stoppingToken);
                var took = time.GetElapsedTime(started) * LookupShare;
                rest = took < Gather ? Gather : took < Period * 10 ? took : Period * 10;
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                Failed(logger, exception.GetType().Name);
                rest = Period;
            }
        }
    }

    private async Task LookUpOnceAsync(CancellationToken cancellationToken)
    {
        var due = states.Sweep(time.Now(), IsConnected);
        var rooms = Take();
        if ((due.Count == 0 && rooms.Count == 0) || !await store.AnyAsync(cancellationToken))
        {
            states.Drop(due.Keys);
            return;
        }

        var wanted = new Dictionary<Guid, (PushTarget Target, NotificationPriority Priority)>();
        foreach (var ids in rooms.Keys.Union(due.Values).Chunk(RoomsPerLookup))
        {
            foreach (var target in await store.FindAsync(ids, cancellationToken))
            {
                var isNew = rooms.TryGetValue(target.RoomId, out var senderId) && senderId != target.UserId;
                var isDue = due.TryGetValue(target.SessionId, out var missed) && missed == target.RoomId;
                var settings = target.Settings;
                if ((isNew || isDue) && NotificationRules.MayWake(settings, time.Now()) && !IsConnected(target.UserId, target.SessionId)
                    && (!wanted.TryGetValue(target.SessionId, out var known) || known.Priority < settings.Priority))
                    wanted[target.SessionId] = (target, settings.Priority);
            }
        }

        states.Drop(due.Keys.Where(sessionId => !wanted.ContainsKey(sessionId)));
        foreach (var (target, priority) in wanted.Values)
        {
            if (states.TryBegin(target, time.Now()) && !queue.Writer.TryWrite((target, priority)))
            {
                states.Settle(target, new(PushOutcome.Failed), time.Now());
                metrics.Pushed("dropped");
            }
        }
    }

    private async Task PushAsync(CancellationToken stoppingToken)
    {
        await foreach (var (target, priority) in queue.Reader.ReadAllAsync(stoppingToken))
            await PushAsync(target, priority, stoppingToken);
    }

    private async Task PushAsync(PushTarget target, NotificationPriority priority, CancellationToken stoppingToken)
    {
        var answer = new PushAnswer(PushOutcome.Failed);
        try
        {
            answer = await sender.PushAsync(store.Decrypt(target.PushEndpoint, target.SessionId), priority, stoppingToken);
            metrics.Pushed(answer.Outcome switch { PushOutcome.Taken => "taken", PushOutcome.Gone => "gone", PushOutcome.Refused => "refused", _ => "failed" });
            if (answer.Outcome == PushOutcome.Refused)
                Report(answer.Status);
            if (answer.Outcome is PushOutcome.Gone or PushOutcome.Refused)
                await store.ForgetAsync(target, stoppingToken);
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            Failed(logger, exception.GetType().Name);
        }
        finally
        {
            states.Settle(target, answer, time.Now());
        }
    }

    /// <summary>Logs each status once until the server restarts. The metric counts all rejections.</summary>
    private void Report(int status)
    {
        if (!reported.TryAdd(status, true))
            return;
        if (status is StatusCodes.Status401Unauthorized or StatusCodes.Status403Forbidden && !options.HasContact)
            RefusedWithoutContact(logger, status);
        else
            Refused(logger, status);
    }

    private Dictionary<Guid, Guid?> Take()
    {
        lock (gate)
        {
            var taken = noted;
            noted = [];
            return taken;
        }
    }

    private bool IsConnected(Guid userId, Guid sessionId)
    {
        foreach (var connection in connections.Of(userId))
        {
            if (connection.SessionId == sessionId)
                return true;
        }

        return false;
    }

    public override void Dispose()
    {
        wake.Dispose();
        base.Dispose();
    }

    [LoggerMessage(
        4501, LogLevel.Warning,
        "A push service rejected a push with status {Status}; the endpoint was removed. "
        + "Further rejections with this status are only counted (securemessaging.pushes)")]
    private static partial void Refused(ILogger logger, int status);

    [LoggerMessage(
        4502, LogLevel.Warning,
        "A push service rejected a push with status {Status}; the endpoint was removed. Set Push:Contact, which some push services require. "
        + "Further rejections with this status are only counted (securemessaging.pushes)")]
    private static partial void RefusedWithoutContact(ILogger logger, int status);

    [LoggerMessage(
        4503, LogLevel.Warning,
        "Push:Contact is not set. Some push services, such as Apple's, reject pushes from a server that does not say how to reach its operator. "
        + "Set it to a mailto: or https: address, or turn pushes off with Push:Enabled=false")]
    private static partial void NoContact(ILogger logger);

    [LoggerMessage(4500, LogLevel.Warning, "Waking sessions failed ({ExceptionType})")]
    private static partial void Failed(ILogger logger, string exceptionType);
}
