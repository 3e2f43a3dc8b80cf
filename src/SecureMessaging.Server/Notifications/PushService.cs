using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Chat;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Notifications;

/// <summary>
/// Wakes the sessions of a room's members that are not connected when a message was committed on this node. A push is a hurry-up, never a promise: whatever does
/// not fit is dropped, and clients read the log whenever they are awake.
/// </summary>
/// <remarks>
/// 1. The writer notes the room and the sender, which takes a lock that nobody holds for long, and nothing else.
/// 2. At most a few times a second the rooms noted meanwhile are looked up together; when no session has an endpoint, that is all. Looking up takes a tenth of
///    the time at most, however busy the rooms are.
/// 3. Who is connected to this node, has sent the messages, has muted the room or has quiet hours is left out. Which sessions are connected to other nodes is not
///    known here: they are woken as well, once in <see cref="PushOptions.Interval"/> at most, and have nothing to show for it.
/// 4. A bounded number of pushes is under way; see <see cref="WakeStates"/> for how often a session is woken.
/// </remarks>
internal sealed partial class PushService : BackgroundService
{
    private const int MaxRooms = 10_000;
    private const int RoomsPerLookup = 500;
    private const int QueueLength = 10_000;

    /// <summary>How much longer than it took to look up one waits before doing so again.</summary>
    private const int LookupShare = 9;

    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private readonly PushStore store;
    private readonly PushSender sender;
    private readonly ChatConnections connections;
    private readonly TimeProvider time;
    private readonly PushOptions options;
    private readonly ServerMetrics metrics;
    private readonly ILogger<PushService> logger;
    private readonly WakeStates states;
    private readonly SemaphoreSlim wake = new(0, 1);
    private readonly ConcurrentDictionary<int, bool> told = [];
    private readonly Lock gate = new();
    private readonly Channel<(PushTarget Target, NotificationPriority Priority)> queue =
        Channel.CreateBounded<(PushTarget, NotificationPriority)>(new BoundedChannelOptions(QueueLength));

    // Rooms with new messages, and who sent them; null: several.
    private Dictionary<Guid, Guid?> noted = [];

    public PushService(
        CommitFeed feed, PushStore store, PushSender sender, ChatConnections connections, TimeProvider time, IOptions<PushOptions> options, ServerMetrics metrics,
        ILogger<PushService> logger)
    {
        (this.store, this.sender, this.connections, this.time, this.options, this.metrics, this.logger) = (store, sender, connections, time, options.Value, metrics, logger);
        states = new WakeStates(options.Value.Interval);
        if (options.Value.Enabled)
            feed.Sent += Note;
    }

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        if (options is { Enabled: true, HasContact: false })
            NoContact(logger);
        return base.StartAsync(cancellationToken);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => options.Enabled
        ? Task.WhenAll([LookUpAsync(stoppingToken), .. Enumerable.Range(0, options.Concurrency).Select(_ => PushAsync(stoppingToken))])
        : Task.CompletedTask;

    private void Note(Guid roomId, Guid senderId)
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
                return;
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
                await wake.WaitAsync(states.IsEmpty ? Timeout.InfiniteTimeSpan : Period, stoppingToken);
                await Task.Delay(rest, stoppingToken);
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
        try
        {
            await foreach (var (target, priority) in queue.Reader.ReadAllAsync(stoppingToken))
                await PushAsync(target, priority, stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // What waits is dropped.
        }
    }

    private async Task PushAsync(PushTarget target, NotificationPriority priority, CancellationToken stoppingToken)
    {
        var answer = new PushAnswer(PushOutcome.Failed);
        try
        {
            answer = await sender.PushAsync(store.Reveal(target.PushEndpoint, target.SessionId), priority, stoppingToken);
            metrics.Pushed(answer.Outcome switch { PushOutcome.Taken => "taken", PushOutcome.Gone => "gone", PushOutcome.Refused => "refused", _ => "failed" });
            if (answer.Outcome == PushOutcome.Refused)
                Tell(answer.Status);
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

    /// <summary>Once for each status until the server restarts; the metric counts all of them.</summary>
    private void Tell(int status)
    {
        if (!told.TryAdd(status, true))
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

    [LoggerMessage(4501, LogLevel.Warning, "A push service refused a push with status {Status}; its endpoint was removed. Further refusals with this status are only counted, as securemessaging.pushes")]
    private static partial void Refused(ILogger logger, int status);

    [LoggerMessage(
        4502, LogLevel.Warning,
        "A push service refused a push with status {Status}; its endpoint was removed. Set Push:Contact, which some push services ask for. Further refusals with this status are only counted, as securemessaging.pushes")]
    private static partial void RefusedWithoutContact(ILogger logger, int status);

    [LoggerMessage(4503, LogLevel.Warning, "Push:Contact is not set. Some push services, Apple's among them, refuse pushes of a server that does not say how to reach its operator: set it to a mailto: or https: address, or turn pushing off with Push:Enabled=false")]
    private static partial void NoContact(ILogger logger);

    [LoggerMessage(4500, LogLevel.Warning, "Waking sessions failed ({ExceptionType})")]
    private static partial void Failed(ILogger logger, string exceptionType);
}
