using System.Collections.Concurrent;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// The tails of all rooms that have connections on this node. Rooms are spread over shards; each shard handles one piece of work at a time, so that a
/// room's deliveries, subscriptions and roster changes have one order.
/// </summary>
/// <remarks>
/// Whoever brings what was committed delivers it on its own thread, if nobody works on the shard already: the writer of a batch, right after it has set off the
/// acks, so that a sender's ack and its entry leave in one write when the node is busy, and without waking another thread when it is not.
/// </remarks>
internal sealed partial class RoomTails : IHostedService, IDisposable
{
    /// <summary>Entries that may wait for a shard before a writer does. One that ran further ahead would acknowledge what nobody gets to see for long.</summary>
    private const int MaxQueued = 1024;

    /// <summary>The same of what other nodes have committed, which nobody waits for: past it the log is read.</summary>
    private const int MaxOffered = 8192;

    /// <summary>Gaps read at one time. With Redis away every active room has one, and they must leave database connections to the sends.</summary>
    private const int MaxFills = 8;
    private static readonly TimeSpan FillRetry = TimeSpan.FromMilliseconds(250);

    private readonly Shard[] shards;
    private readonly SemaphoreSlim fills = new(MaxFills, MaxFills);
    private readonly CancellationTokenSource stopping = new();
    private readonly ChatConnections connections;
    private readonly OncePerMinute lines;

    public RoomTails(ChatConnections connections, LogStore log, CommitFeed feed, RoomEvents roomEvents, ServerMetrics metrics, TimeProvider time, ILogger<RoomTails> logger)
    {
        this.connections = connections;
        lines = new OncePerMinute(time);
        shards = [.. Enumerable.Range(0, Math.Max(2, Environment.ProcessorCount)).Select(_ => new Shard(this, connections, log, metrics, time, logger))];
        feed.Attach(committed => ShardOf(committed.RoomId).DeliverAsync(new Committed(committed.RoomId, committed.Entries, Elsewhere: false)));
        feed.Doubted += Recheck;
        roomEvents.Deleted += Delete;
    }

    /// <summary>Delivers the room to the connection from now on. False when the membership must be read again.</summary>
    public async Task<bool> SubscribeAsync(Guid roomId, ChatConnection connection, long joinedSeq, long asOfSeq, CancellationToken cancellationToken)
    {
        var work = new Subscription(roomId, connection, joinedSeq, asOfSeq);
        ShardOf(roomId).Post(work);
        return await work.Done.Task.WaitAsync(cancellationToken);
    }

    public void Unsubscribe(ChatConnection connection)
    {
        foreach (var roomId in connection.Close())
            ShardOf(roomId).Post(new Unsubscription(roomId, connection));
    }

    /// <summary>How long entries that are missing may take to arrive by themselves, before they are read.</summary>
    public TimeSpan Grace { get; set; }

    /// <summary>Gives a tail what another node has committed; what comes faster than it is delivered is read later.</summary>
    public void Offer(CommittedEntries committed)
    {
        if (Has(committed.RoomId) && !ShardOf(committed.RoomId).TryOffer(new Committed(committed.RoomId, committed.Entries, Elsewhere: true)))
            NoteHead(committed.RoomId, committed.Entries[^1].Seq);
    }

    /// <summary>Tells the tails how far logs go, so that they read what they have not been given.</summary>
    public void NoteHead(Guid roomId, long headSeq) => ShardOf(roomId).Post(new Head(roomId, headSeq));

    /// <summary>Makes the room's tail look whether its log goes on.</summary>
    public void Recheck(Guid roomId) => ShardOf(roomId).Post(new Doubted(roomId));

    /// <summary>Lets a user in who joined elsewhere; <paramref name="asOfSeq"/> is where the log stood when that was known.</summary>
    public void Join(Guid roomId, Guid userId, long joinedSeq, long asOfSeq)
    {
        if (!connections.Of(userId).IsEmpty)
            ShardOf(roomId).Post(new Joined(roomId, userId, joinedSeq, asOfSeq));
    }

    public void Signal(Guid roomId, byte[] signal) => ShardOf(roomId).Post(new Signaled(roomId, signal));

    public void Delete(Guid roomId) => ShardOf(roomId).Post(new Deleted(roomId));

    /// <summary>The rooms that have connections on this node.</summary>
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

    private sealed record Filled(Guid RoomId, RoomTail Tail, IReadOnlyList<LogEntry>? Entries) : Work(RoomId);

    private sealed record Due(Guid RoomId, RoomTail Tail) : Work(RoomId);

    private sealed record Head(Guid RoomId, long HeadSeq) : Work(RoomId);

    private sealed record Signaled(Guid RoomId, byte[] Content) : Work(RoomId);

    private sealed record Joined(Guid RoomId, Guid UserId, long JoinedSeq, long AsOfSeq) : Work(RoomId);

    private sealed record Doubted(Guid RoomId) : Work(RoomId);

    private sealed record Deleted(Guid RoomId) : Work(RoomId);

    private sealed record Unsubscription(Guid RoomId, ChatConnection Connection) : Work(RoomId);

    private sealed record Subscription(Guid RoomId, ChatConnection Connection, long JoinedSeq, long AsOfSeq) : Work(RoomId)
    {
        public TaskCompletionSource<bool> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed partial class Shard(RoomTails all, ChatConnections connections, LogStore log, ServerMetrics metrics, TimeProvider time, ILogger logger) : IThreadPoolWorkItem
    {
        /// <summary>Pieces of work that one turn does before others get theirs, and a writer goes back to its queue.</summary>
        private const int Turn = 256;

        // Changed by this shard alone; concurrent only so that the sweep may list the rooms.
        private readonly ConcurrentDictionary<Guid, RoomTail> tails = new();

        // Entries are bounded, which slows the writer down; the rest is small and bounded by the connections there are.
        private readonly ConcurrentQueue<Work> work = new();
        private readonly CancellationToken stopping = all.stopping.Token;
        private readonly Lock gate = new();
        private int waiting;

        // Counted apart: what other nodes commit never waits, and would leave no place to what this node does.
        private int queued;
        private int offered;
        private TaskCompletionSource? placesFreed;

        public IEnumerable<Guid> Rooms => tails.Keys;

        public bool Has(Guid roomId) => tails.ContainsKey(roomId);

        public void Post(Work item)
        {
            if (Enqueue(item))
                ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }

        /// <summary>Delivers what was committed here.</summary>
        public async ValueTask DeliverAsync(Committed item)
        {
            while (!TryTakePlace(item, out var placeFree))
            {
                WriteBatch.Flush();
                await placeFree;
            }

            Deliver(item);
        }

        public bool TryOffer(Committed item)
        {
            lock (gate)
            {
                if (offered > MaxOffered)
                    return false;
                offered += item.Entries.Length;
            }

            Deliver(item);
            return true;
        }

        public void Execute()
        {
            for (var done = 0; ; done++)
            {
                if (done == Turn)
                {
                    ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
                    return;
                }

                if (work.TryDequeue(out var item))
                    HandleSafely(item);
                if (Interlocked.Decrement(ref waiting) == 0)
                    return;
            }
        }

        /// <summary>On this thread, or by whoever works on the shard already.</summary>
        private void Deliver(Committed item)
        {
            if (Enqueue(item))
                Execute();
        }

        /// <summary>True when nobody works on the shard: then the caller has to see to it.</summary>
        private bool Enqueue(Work item)
        {
            work.Enqueue(item);
            return Interlocked.Increment(ref waiting) == 1;
        }

        /// <param name="item">What was committed here.</param>
        /// <param name="placeFree">Completes when there may be a place, if there is none.</param>
        private bool TryTakePlace(Committed item, out Task placeFree)
        {
            lock (gate)
            {
                // Not the sum: a long run would wait as long as short ones take each place that comes free.
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

        private void HandleSafely(Work item)
        {
            try
            {
                Handle(item);
            }
            catch (Exception exception)
            {
                TailFailed(logger, exception);
                if (tails.TryGetValue(item.RoomId, out var failed))
                    failed.Recheck();
                if (item is Subscription subscribe)
                    subscribe.Done.TrySetException(exception);
            }

            if (item is Committed handled)
                FreePlace(handled);
        }

        private void Handle(Work item)
        {
            var tail = tails.GetValueOrDefault(item.RoomId);
            switch (item)
            {
                case Committed committed:
                    // Nobody here listens to the room, unless the batch itself brings somebody in. What overtook it found no tail, so that one looks.
                    if (tail is null && committed.Entries.Any(entry => entry is { Kind: EntryKind.MemberJoined, UserId: { } joined } && !connections.Of(joined).IsEmpty))
                    {
                        tail = tails[item.RoomId] = new RoomTail(item.RoomId, committed.Entries[0].Seq - 1, connections, metrics);
                        tail.Accept(committed.Entries);
                        tail.Recheck();
                    }
                    else
                    {
                        tail?.Accept(committed.Entries);
                    }

                    break;
                case Filled filled when filled.Tail == tail:
                    tail.Filling = false;
                    if (filled.Entries is { Count: > 0 } entries)
                        tail.Fill(entries);
                    else if (filled.Entries is not null)
                        tail.FillNothing();
                    break;
                case Due due when due.Tail == tail:
                    tail.Filling = false;
                    if (tail.HasGap)
                        Fill(tail);
                    return;
                case Doubted:
                    tail?.Recheck();
                    break;
                case Head head:
                    tail?.Note(head.HeadSeq);
                    break;
                case Signaled signal:
                    tail?.Signal(signal.Content);
                    break;
                case Joined joined:
                    tail ??= tails[item.RoomId] = new RoomTail(item.RoomId, joined.JoinedSeq - 1, connections, metrics);
                    tail.Admit(joined.UserId, joined.JoinedSeq, joined.AsOfSeq);
                    break;
                case Subscription subscribe:
                    tail ??= tails[item.RoomId] = new RoomTail(item.RoomId, subscribe.AsOfSeq, connections, metrics);
                    subscribe.Done.TrySetResult(tail.TrySubscribe(subscribe.Connection, subscribe.JoinedSeq, subscribe.AsOfSeq));
                    break;
                case Unsubscription unsubscribe:
                    tail?.Unsubscribe(unsubscribe.Connection);
                    break;
                case Deleted:
                    tail?.Close();
                    tails.TryRemove(item.RoomId, out _);
                    return;
            }

            if (tail is null)
                return;
            if (tail is { IsEmpty: true, HasGap: false })
                tails.TryRemove(item.RoomId, out _);
            else if (tail is { HasGap: true, Filling: false })
                Await(tail);
        }

        private void Await(RoomTail tail)
        {
            if (all.Grace > TimeSpan.Zero)
                _ = WaitAsync(tail, all.Grace);
            else
                Fill(tail);
        }

        // Not on this thread, which may be a writer's: reading SQLite takes it for as long as it takes.
        private void Fill(RoomTail tail)
        {
            tail.BeginRead();
            var delivered = tail.Delivered;
            _ = Task.Run(() => FillAsync(tail, delivered));
        }

        private async Task WaitAsync(RoomTail tail, TimeSpan grace)
        {
            tail.Filling = true;
            await Task.Delay(grace, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Post(new Due(tail.RoomId, tail));
        }

        /// <summary>Reads what the tail lacks from the log. The same way serves a lost publish, a late subscription and a node that was away.</summary>
        private async Task FillAsync(RoomTail tail, long delivered)
        {
            List<LogEntry>? entries = null;
            try
            {
                await all.fills.WaitAsync(stopping);
                try
                {
                    entries = await log.ReadForTailAsync(tail.RoomId, delivered, stopping);
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
                await Task.Delay(FillRetry, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            Post(new Filled(tail.RoomId, tail, entries));
        }
    }

    [LoggerMessage(4000, LogLevel.Error, "A room tail failed")]
    private static partial void TailFailed(ILogger logger, Exception exception);

    [LoggerMessage(4001, LogLevel.Warning, "A room tail could not read the log ({ExceptionType}); it tries again ({Count} more since the last such line)")]
    private static partial void FillFailed(ILogger logger, string exceptionType, int count);
}
