using System.Threading.Channels;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Chat;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.GraphQL;

/// <summary>What a tail told: a run of entries, or a change of the set of rooms.</summary>
internal readonly record struct TailNews(Guid RoomId, EntryRun? Run, RoomChange? Change);

/// <summary>
/// What the tails deliver, waiting for one subscription to take it. The tails never wait: past the bound the runs of a room are left out and the room is
/// noted as missed, which the subscription makes up for from the log.
/// </summary>
/// <param name="connection">The socket's connection, which hands on what the tails deliver.</param>
/// <param name="roomId">The one room; null for all.</param>
/// <param name="entries">Whether entries are wanted, or changes alone.</param>
/// <param name="metrics">Counts rooms that were missed.</param>
internal sealed class TailFeed(SocketChatConnection connection, Guid? roomId, bool entries, ServerMetrics metrics) : IDisposable
{
    private const int MaxRuns = 256;
    private const int MaxBytes = 1024 * 1024;

    /// <summary>Changes are small and cannot be looked up later; who leaves this many lie is cut off and comes back.</summary>
    private const int MaxNews = 4096;

    private readonly Lock gate = new();
    private readonly Queue<TailNews> news = [];
    private readonly HashSet<Guid> missed = [];
    private readonly Channel<bool> wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private int bytes;

    public void Offer(EntryRun run)
    {
        if (!entries || (roomId is { } only && only != run.RoomId))
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
                news.Enqueue(new TailNews(run.RoomId, run, null));
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

            news.Enqueue(new TailNews(changedRoomId, null, change));
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
                    // Who has left a room has missed nothing that could be read.
                    if (next.Change is RoomChange.Left or RoomChange.Deleted)
                        missed.Remove(next.RoomId);
                    return next;
                }

                foreach (var room in missed)
                {
                    missed.Remove(room);
                    return new TailNews(room, null, null);
                }
            }

            await wake.Reader.ReadAsync(cancellationToken);
        }
    }

    public void Dispose() => connection.Remove(this);
}
