using System.Threading.Channels;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Platform.Diagnostics;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>A delivered event. <c>Seq</c> belongs to the change, see <see cref="Subscriber.SendRoomChanged"/>.</summary>
internal readonly record struct DeliveryItem(Guid RoomId, EntryRun? Run = null, RoomChange? Change = null, long Seq = 0, byte[]? Signal = null);

/// <summary>The events that a subscription needs. All need changes of the caller's rooms.</summary>
internal enum FeedKind
{
    Changes,
    Entries,
    Signals,
}

/// <summary>
/// Buffers delivered events for one subscription. Room delivery never waits: when the buffer is full, runs are dropped and their room is marked as missed. The
/// subscription then reads the missed entries from the log.
/// </summary>
/// <param name="connection">The WebSocket's subscriber, which receives the events.</param>
/// <param name="roomId">The only room. Null: all rooms.</param>
/// <param name="kind">The events to buffer.</param>
/// <param name="metrics">Counts missed rooms.</param>
internal sealed class DeliveryFeed(SocketSubscriber connection, Guid? roomId, FeedKind kind, ServerMetrics metrics) : IDisposable
{
    private const int MaxRuns = 256;
    private const int MaxBytes = 1024 * 1024;

    /// <summary>Changes are small and cannot be read later. A subscription with this many unread events is disconnected, and reconnects.</summary>
    private const int MaxNews = 4096;

    /// <summary>Signals are delivered at most once: signals that do not fit are dropped, as on the hub.</summary>
    private const int MaxSignals = 64;

    private readonly Lock gate = new();
    private readonly Queue<DeliveryItem> news = [];
    private readonly HashSet<Guid> missed = [];
    private readonly Channel<bool> wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private int bytes;
    private int signals;

    public void Offer(EntryRun run)
    {
        if (kind != FeedKind.Entries || (roomId is { } only && only != run.RoomId))
            return;
        lock (gate)
        {
            if (missed.Contains(run.RoomId))
                return;
            if (news.Count >= MaxRuns || bytes + run.Bytes > MaxBytes)
            {
                missed.Add(run.RoomId);
                metrics.Resynced();
            }
            else
            {
                bytes += run.Bytes;
                news.Enqueue(new DeliveryItem(run.RoomId, Run: run));
            }
        }

        wake.Writer.TryWrite(true);
    }

    public void Offer(Guid changedRoomId, RoomChange change, long seq)
    {
        if (roomId is { } only && only != changedRoomId)
            return;
        lock (gate)
        {
            if (news.Count >= MaxNews)
            {
                connection.AbortSlow();
                return;
            }

            news.Enqueue(new DeliveryItem(changedRoomId, Change: change, Seq: seq));
        }

        wake.Writer.TryWrite(true);
    }

    public void Offer(Guid signaledRoomId, byte[] signal)
    {
        if (kind != FeedKind.Signals || (roomId is { } only && only != signaledRoomId))
            return;
        lock (gate)
        {
            if (signals >= MaxSignals)
                return;
            signals++;
            news.Enqueue(new DeliveryItem(signaledRoomId, Signal: signal));
        }

        wake.Writer.TryWrite(true);
    }

    /// <summary>
    /// The next event. An event without content marks a missed room: the caller must read its log. Later runs of the room are buffered again.
    /// </summary>
    public async Task<DeliveryItem> TakeAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (gate)
            {
                if (news.TryDequeue(out var next))
                {
                    bytes -= next.Run?.Bytes ?? 0;
                    signals -= next.Signal is null ? 0 : 1;
                    // After leaving, no missed entry can be read.
                    if (next.Change is RoomChange.Left or RoomChange.Deleted)
                        missed.Remove(next.RoomId);
                    return next;
                }

                foreach (var room in missed)
                {
                    missed.Remove(room);
                    return new DeliveryItem(room);
                }
            }

            await wake.Reader.ReadAsync(cancellationToken);
        }
    }

    public void Dispose() => connection.Remove(this);
}
