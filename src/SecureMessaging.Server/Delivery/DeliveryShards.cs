using System.Collections.Concurrent;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Delivery;

/// <summary>Reads entries of a room in the order of seq: at most one page, and none when the log ends at <paramref name="afterSeq"/>.</summary>
internal delegate Task<List<LogEntry>> ReadLog(Guid roomId, long afterSeq, CancellationToken cancellationToken);

/// <summary>
/// Delivers all rooms that have connections on this node. A room belongs to one shard, and a shard handles one work item at a time: deliveries,
/// subscriptions and roster changes of a room have one order.
/// </summary>
/// <remarks>
/// Committed entries are delivered on the thread that brings them if the shard is idle. This thread has written the acks just before: on a busy node an ack
/// and its entry leave in one write, and on an idle node no other thread must wake up.
/// </remarks>
internal sealed partial class DeliveryShards : IHostedService, IDisposable
{
    /// <summary>Entries that may wait for a shard before a writer waits. A larger bound would acknowledge messages long before members see them.</summary>
    private const int MaxQueued = 1024;

    /// <summary>The same bound for entries of other nodes. Beyond it they are dropped and read from the log.</summary>
    private const int MaxOffered = 8192;

    /// <summary>Gaps read at the same time. Without Redis every active room has a gap, and sends need database connections too.</summary>
    private const int MaxFills = 8;
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(250);

    private readonly Shard[] shards;
    private readonly SemaphoreSlim fills = new(MaxFills, MaxFills);
    private readonly CancellationTokenSource stopping = new();
    private readonly Subscribers connections;
    private readonly OncePerMinute lines;

    public DeliveryShards(Subscribers connections, ReadLog readLog, ServerMetrics metrics, TimeProvider time, ILogger<DeliveryShards> logger)
    {
        this.connections = connections;
        lines = new OncePerMinute(time);
        shards = [.. Enumerable.Range(0, Math.Max(2, Environment.ProcessorCount)).Select(_ => new Shard(this, connections, readLog, metrics, time, logger))];
    }

    /// <summary>Delivers the room to the connection from now on. False: the caller must read the membership again.</summary>
    public async Task<bool> SubscribeAsync(Guid roomId, Subscriber connection, long joinedSeq, long asOfSeq, CancellationToken cancellationToken)
    {
        var work = new Subscription(roomId, connection, joinedSeq, asOfSeq);
        ShardOf(roomId).Post(work);
        return await work.Done.Task.WaitAsync(cancellationToken);
    }

    public void Unsubscribe(Subscriber connection)
    {
        foreach (var roomId in connection.Close())
            ShardOf(roomId).Post(new Unsubscription(roomId, connection));
    }

    /// <summary>How long missing entries may take to arrive before they are read from the log.</summary>
    public TimeSpan Grace { get; set; }

    /// <summary>Delivers entries that this node committed. Waits while the room's shard is full.</summary>
    public ValueTask DeliverAsync(CommittedEntries committed, WriteBatch? writes = null) =>
        ShardOf(committed.RoomId).DeliverAsync(new Committed(committed.RoomId, committed.Entries, Elsewhere: false), writes);

    /// <summary>Delivers entries that another node committed. When the shard is full, they are read from the log later.</summary>
    public void Offer(CommittedEntries committed, WriteBatch? writes = null)
    {
        if (Has(committed.RoomId) && !ShardOf(committed.RoomId).TryOffer(new Committed(committed.RoomId, committed.Entries, Elsewhere: true), writes))
            NoteHead(committed.RoomId, committed.Entries[^1].Seq);
    }

    public void NoteHead(Guid roomId, long headSeq) => ShardOf(roomId).Post(new Head(roomId, headSeq));

    public void Recheck(Guid roomId) => ShardOf(roomId).Post(new MarkedStale(roomId));

    /// <summary>Subscribes a user who joined on another node. <paramref name="asOfSeq"/> is the log's head when the membership was read.</summary>
    public void Join(Guid roomId, Guid userId, long joinedSeq, long asOfSeq)
    {
        if (!connections.Of(userId).IsEmpty)
            ShardOf(roomId).Post(new Joined(roomId, userId, joinedSeq, asOfSeq));
    }

    public void Signal(Guid roomId, byte[] signal) => ShardOf(roomId).Post(new Signaled(roomId, signal));

    public void Delete(Guid roomId) => ShardOf(roomId).Post(new Deleted(roomId));

    public IEnumerable<Guid> Rooms() => shards.SelectMany(shard => shard.Rooms);

    public bool Has(Guid roomId) => ShardOf(roomId).Has(roomId);

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => stopping.CancelAsync();

    public void Dispose()
    {
        fills.Dispose();
        stopping.Dispose();
    }

    private Shard ShardOf(Guid roomId) => shards[(uint)roomId.GetHashCode() % (uint)shards.Length];

    private abstract record Work(Guid RoomId);

    private sealed record Committed(Guid RoomId, LogEntry[] Entries, bool Elsewhere) : Work(RoomId);

    private sealed record Filled(Guid RoomId, RoomDelivery Delivery, IReadOnlyList<LogEntry>? Entries) : Work(RoomId);

    private sealed record Due(Guid RoomId, RoomDelivery Delivery) : Work(RoomId);

    private sealed record Head(Guid RoomId, long HeadSeq) : Work(RoomId);

    private sealed record Signaled(Guid RoomId, byte[] Content) : Work(RoomId);

    private sealed record Joined(Guid RoomId, Guid UserId, long JoinedSeq, long AsOfSeq) : Work(RoomId);

    private sealed record MarkedStale(Guid RoomId) : Work(RoomId);

    private sealed record Deleted(Guid RoomId) : Work(RoomId);

    private sealed record Unsubscription(Guid RoomId, Subscriber Connection) : Work(RoomId);

    private sealed record Subscription(Guid RoomId, Subscriber Connection, long JoinedSeq, long AsOfSeq) : Work(RoomId)
    {
        public TaskCompletionSource<bool> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed partial class Shard(
        DeliveryShards all, Subscribers connections, ReadLog readLog, ServerMetrics metrics, TimeProvider time, ILogger logger) : IThreadPoolWorkItem
    {
        /// <summary>Work items of one turn. After it other work gets the thread, and a writer returns to its queue.</summary>
        private const int Turn = 256;

        // Only this shard changes it; concurrent, so that the reconciler can list the rooms.
        private readonly ConcurrentDictionary<Guid, RoomDelivery> deliveries = new();

        // The entries in it are bounded, which slows the writer. Other items are small and bounded by the number of connections.
        private readonly ConcurrentQueue<Work> work = new();
        private readonly CancellationToken stopping = all.stopping.Token;
        private readonly Lock gate = new();
        private int waiting;

        // Counted apart: entries of other nodes never wait and would take every place from this node's.
        private int queued;
        private int offered;
        private TaskCompletionSource? placesFreed;

        public IEnumerable<Guid> Rooms => deliveries.Keys;

        public bool Has(Guid roomId) => deliveries.ContainsKey(roomId);

        public void Post(Work item)
        {
            if (Enqueue(item))
                ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }

        public async ValueTask DeliverAsync(Committed item, WriteBatch? writes)
        {
            while (!TryTakePlace(item, out var placeFree))
            {
                writes?.Flush();
                await placeFree;
            }

            Deliver(item, writes);
        }

        public bool TryOffer(Committed item, WriteBatch? writes)
        {
            lock (gate)
            {
                if (offered > MaxOffered)
                    return false;
                offered += item.Entries.Length;
            }

            Deliver(item, writes);
            return true;
        }

        void IThreadPoolWorkItem.Execute() => Execute(null);

        private void Execute(WriteBatch? writes)
        {
            for (var done = 0; ; done++)
            {
                if (done == Turn)
                {
                    ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
                    return;
                }

                if (work.TryDequeue(out var item))
                    HandleSafely(item, writes);
                if (Interlocked.Decrement(ref waiting) == 0)
                    return;
            }
        }

        private void Deliver(Committed item, WriteBatch? writes)
        {
            if (Enqueue(item))
                Execute(writes);
        }

        /// <summary>True: the shard was idle, and the caller must run it.</summary>
        private bool Enqueue(Work item)
        {
            work.Enqueue(item);
            return Interlocked.Increment(ref waiting) == 1;
        }

        /// <summary>False: the shard is full, and <paramref name="placeFree"/> completes when a place may be free.</summary>
        private bool TryTakePlace(Committed item, out Task placeFree)
        {
            lock (gate)
            {
                // Compares without the item's length: a long run would otherwise wait as long as short runs take each free place.
                if (queued >= MaxQueued)
                {
                    placeFree = (placesFreed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
                    return false;
                }

                placeFree = Task.CompletedTask;
                queued += item.Entries.Length;
                return true;
            }
        }

        private void FreePlace(Committed item)
        {
            lock (gate)
            {
                if (item.Elsewhere)
                {
                    offered -= item.Entries.Length;
                    return;
                }

                queued -= item.Entries.Length;
                placesFreed?.SetResult();
                placesFreed = null;
            }
        }

        private void HandleSafely(Work item, WriteBatch? writes)
        {
            try
            {
                Handle(item, writes);
            }
            catch (Exception exception)
            {
                if (all.lines.Allows(exception.GetType().Name, out var others))
                    DeliveryFailed(logger, exception, others);
                if (deliveries.TryGetValue(item.RoomId, out var failed))
                {
                    failed.Recheck();
                    if (!failed.Filling)
                        _ = WaitAsync(failed, Retry);
                }

                if (item is Subscription subscribe)
                    subscribe.Done.TrySetException(exception);
            }

            if (item is Committed handled)
                FreePlace(handled);
        }

        private void Handle(Work item, WriteBatch? writes)
        {
            var delivery = deliveries.GetValueOrDefault(item.RoomId);
            switch (item)
            {
                case Committed committed:
                    // The room has no connection here, unless the batch adds a member who has one. A work item that came before it found no delivery,
                    // hence the recheck.
                    if (delivery is null && committed.Entries.Any(
                        entry => entry is { Kind: EntryKind.MemberJoined, UserId: { } joined } && !connections.Of(joined).IsEmpty))
                    {
                        delivery = deliveries[item.RoomId] = new RoomDelivery(item.RoomId, committed.Entries[0].Seq - 1, connections, metrics);
                        delivery.Accept(committed.Entries, writes);
                        delivery.Recheck();
                    }
                    else
                    {
                        delivery?.Accept(committed.Entries, writes);
                    }

                    break;
                case Filled filled when filled.Delivery == delivery:
                    delivery.Filling = false;
                    if (filled.Entries is { Count: > 0 } entries)
                        delivery.Fill(entries, writes);
                    else if (filled.Entries is not null)
                        delivery.FillNothing();
                    break;
                case Due due when due.Delivery == delivery:
                    delivery.Filling = false;
                    if (delivery.HasGap)
                        Fill(delivery);
                    return;
                case MarkedStale:
                    delivery?.Recheck();
                    break;
                case Head head:
                    delivery?.Note(head.HeadSeq);
                    break;
                case Signaled signal:
                    delivery?.Signal(signal.Content);
                    break;
                case Joined joined:
                    delivery ??= deliveries[item.RoomId] = new RoomDelivery(item.RoomId, joined.JoinedSeq - 1, connections, metrics);
                    delivery.Admit(joined.UserId, joined.JoinedSeq, joined.AsOfSeq, writes);
                    break;
                case Subscription subscribe:
                    delivery ??= deliveries[item.RoomId] = new RoomDelivery(item.RoomId, subscribe.AsOfSeq, connections, metrics);
                    subscribe.Done.TrySetResult(delivery.TrySubscribe(subscribe.Connection, subscribe.JoinedSeq, subscribe.AsOfSeq));
                    break;
                case Unsubscription unsubscribe:
                    delivery?.Unsubscribe(unsubscribe.Connection);
                    break;
                case Deleted:
                    delivery?.Close(writes);
                    deliveries.TryRemove(item.RoomId, out _);
                    return;
            }

            if (delivery is null)
                return;
            if (delivery is { IsEmpty: true, HasGap: false })
                deliveries.TryRemove(item.RoomId, out _);
            else if (delivery is { HasGap: true, Filling: false })
                Await(delivery);
        }

        private void Await(RoomDelivery delivery)
        {
            if (all.Grace > TimeSpan.Zero)
                _ = WaitAsync(delivery, all.Grace);
            else
                Fill(delivery);
        }

        // Not on this thread, which delivers: a read of SQLite blocks it.
        private void Fill(RoomDelivery delivery)
        {
            delivery.BeginRead();
            var delivered = delivery.Delivered;
            _ = Task.Run(() => FillAsync(delivery, delivered));
        }

        private async Task WaitAsync(RoomDelivery delivery, TimeSpan grace)
        {
            delivery.Filling = true;
            await Task.Delay(grace, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Post(new Due(delivery.RoomId, delivery));
        }

        /// <summary>Reads missing entries from the log: after a lost publish, a late subscription, or a pause of this node.</summary>
        private async Task FillAsync(RoomDelivery delivery, long delivered)
        {
            List<LogEntry>? entries = null;
            try
            {
                await all.fills.WaitAsync(stopping);
                try
                {
                    entries = await readLog(delivery.RoomId, delivered, stopping);
                }
                finally
                {
                    all.fills.Release();
                }

                if (entries.Count > 0)
                    metrics.GapFilled();
            }
            catch (Exception exception) when (!stopping.IsCancellationRequested)
            {
                if (all.lines.Allows(exception.GetType().Name, out var others))
                    FillFailed(logger, exception.GetType().Name, others);
                await Task.Delay(Retry, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            Post(new Filled(delivery.RoomId, delivery, entries));
        }
    }

    [LoggerMessage(4000, LogLevel.Error, "A room's delivery failed and is tried again; {Count} more since the last such line")]
    private static partial void DeliveryFailed(ILogger logger, Exception exception, int count);

    [LoggerMessage(4001, LogLevel.Warning, "A room's delivery could not read the log ({ExceptionType}) and retries; {Count} more since the last such line")]
    private static partial void FillFailed(ILogger logger, string exceptionType, int count);
}
