using System.Threading.Channels;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Chat;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.GraphQL;

/// <summary>What a tail told: a run of entries, a change of the set of rooms, or a signal.</summary>
internal readonly record struct TailNews(Guid RoomId, EntryRun? Run = null, RoomChange? Change = null, byte[]? Signal = null);

/// <summary>What a subscription wants beside the changes of the set of rooms, which all of them need.</summary>
internal enum FeedKind
{
    Changes,
    Entries,
    Signals,
}

/// <summary>
/// What the tails deliver, waiting for one subscription to take it. The tails never wait: past the bound the runs of a room are left out and the room is
/// noted as missed, which the subscription makes up for from the log.
/// </summary>
/// <param name="connection">The socket's connection, which hands on what the tails deliver.</param>
/// <param name="roomId">The one room; null for all.</param>
/// <param name="kind">What is wanted.</param>
/// <param name="metrics">Counts rooms that were missed.</param>
internal sealed class TailFeed(SocketChatConnection connection, Guid? roomId, FeedKind kind, ServerMetrics metrics) : IDisposable
{
    private const int MaxRuns = 256;
    private const int MaxBytes = 1024 * 1024;

    /// <summary>Changes are small and cannot be looked up later; who leaves this many lie is cut off and comes back.</summary>
    private const int MaxNews = 4096;

    /// <summary>Signals are delivered at most once: what does not fit is dropped, as for a slow client of the hub.</summary>
    private const int MaxSignals = 64;

    private readonly Lock gate = new();
    private readonly Queue<TailNews> news = [];
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
                news.Enqueue(new TailNews(run.RoomId, Run: run));
            }
        }

        wake.Writer.TryWrite(true);
    }

    public void Offer(Guid changedRoomId, RoomChange change)
    {
        if (roomId is { } only && only != changedRoomId)
            return;
        lock (gate)
        {
            if (news.Count >= MaxNews)
            {
                connection.Abort();
                return;
            }

            news.Enqueue(new TailNews(changedRoomId, Change: change));
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
            news.Enqueue(new TailNews(signaledRoomId, Signal: signal));
        }

        wake.Writer.TryWrite(true);
    }

    /// <summary>
    /// The next piece of news. A room without run and change was missed: the log has to be read, and from now on its runs come again.
    /// </summary>
    public async Task<TailNews> TakeAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (gate)
            {
                if (news.TryDequeue(out var next))
                {
                    bytes -= next.Run?.Bytes ?? 0;
                    signals -= next.Signal is null ? 0 : 1;
                    // Who has left a room has missed nothing that could be read.
                    if (next.Change is RoomChange.Left or RoomChange.Deleted)
                        missed.Remove(next.RoomId);
                    return next;
                }

                foreach (var room in missed)
                {
                    missed.Remove(room);
                    return new TailNews(room);
                }
            }

            await wake.Reader.ReadAsync(cancellationToken);
        }
    }

    public void Dispose() => connection.Remove(this);
}
