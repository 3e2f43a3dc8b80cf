using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// Delivers the log of each room to the application once, in order and without gaps, through a bounded queue.
/// A push that continues the log goes directly into the queue. Everything else (a gap, a full queue, a resync) marks the room, and one loop reads marked
/// rooms page by page, as fast as the application takes events. So the receive loop never waits, and memory is bounded.
/// </summary>
internal sealed partial class Inbox : IHubPushes
{
    private readonly ClientStore store;
    private readonly ClientOptions options;
    private readonly Warnings warnings;
    private readonly ILogger logger;
    private readonly Channel<Arrival> queue;
    private readonly Wakeup work;
    private readonly Lock gate = new();
    private readonly Dictionary<Guid, RoomPosition> rooms = [];
    private readonly Queue<Guid> dirty = [];
    private bool headsDue;

    public Inbox(ClientStore store, ClientOptions options, Warnings warnings, ILogger logger)
    {
        (this.store, this.options, this.warnings, this.logger) = (store, options, warnings, logger);
        queue = Channel.CreateBounded<Arrival>(new BoundedChannelOptions(options.EventBuffer) { SingleReader = true });
        work = new(options.TimeProvider);
        foreach (var cursor in store.ReadCursors())
            rooms[Guid.Parse(cursor.RoomId)] = new() { Cursor = cursor.Seq };
    }

    /// <summary>An ephemeral signal was received.</summary>
    public event Action<RoomSignal>? Signaled;

    public ChannelReader<Arrival> Arrivals => queue.Reader;

    /// <summary>Compares the heads: after a connect, and when a push may be lost.</summary>
    public void CompareHeads()
    {
        lock (gate)
            headsDue = true;
        work.Set();
    }

    /// <summary>The application has taken an event. A full disk does not stop reading: the next stored cursor replaces this one.</summary>
    public void Taken(Arrival arrival)
    {
        try
        {
            if (arrival.End is not null)
                store.ForgetCursor(arrival.RoomId);
            else
                store.WriteCursor(arrival.RoomId, arrival.Entry?.Seq ?? arrival.GapTo);
        }
        catch (IOException e)
        {
            StoreFailed(logger, e.Message);
            warnings.Raise(ClientWarningKind.Store, $"A cursor cannot be written: {e.Message}", e, arrival.RoomId);
        }
    }

    /// <summary>One page of a log.</summary>
    public static Task<LogPage> ReadPageAsync(HubLink link, Guid roomId, long afterSeq, int limit, CancellationToken cancellationToken) =>
        link.InvokeAsync<LogPage>(
            nameof(IChatHub.Sync), [roomId, afterSeq, limit], page => page.Entries is not null && !page.Entries.Contains(null!), cancellationToken);

    public void Close(Exception? reason) => queue.Writer.TryComplete(reason);

    public void OnReceived(Guid roomId, LogEntry[] entries)
    {
        lock (gate)
        {
            var room = Room(roomId);
            foreach (var entry in entries ?? [null!])
            {
                if (room.Ended)
                    return;
                if (entry is not null && Accept(roomId, room, entry) is Acceptance.Old or Acceptance.Taken)
                    continue;
                Mark(roomId, room);
                return;
            }
        }
    }

    public void OnResync(Guid roomId)
    {
        lock (gate)
            Mark(roomId, Room(roomId));
    }

    public void OnRoomChanged(Guid roomId, RoomChange change)
    {
        lock (gate)
        {
            switch (change)
            {
                case RoomChange.Joined:
                    Mark(roomId, Room(roomId));
                    break;
                case RoomChange.Left or RoomChange.Deleted:
                    End(roomId, change);
                    break;
                default:
                    // A change of a later version: the heads list the rooms.
                    CompareHeads();
                    break;
            }
        }
    }

    public void OnSignaled(Guid roomId, byte[] signal) => Signaled?.Invoke(new(roomId, signal));

    /// <summary>The loop that reads marked rooms.</summary>
    public async Task RunAsync(HubLink link, CancellationToken cancellationToken)
    {
        var backoff = new Backoff(options);
        var lastCheck = options.TimeProvider.GetTimestamp();
        while (true)
        {
            try
            {
                if (TakeEnded() is { } ended)
                {
                    await queue.Writer.WriteAsync(ended, cancellationToken);
                    continue;
                }
                if (options.TimeProvider.GetElapsedTime(lastCheck) >= options.HeadCheckInterval)
                    CompareHeads();
                if (TakeHeadsDue())
                {
                    await ReadHeadsAsync(link, cancellationToken);
                    lastCheck = options.TimeProvider.GetTimestamp();
                }
                else if (TakeDirty() is { } dirty)
                {
                    await ReadDirtyAsync(link, dirty.Key, dirty.Value, cancellationToken);
                }
                else
                {
                    await work.WaitAsync(options.HeadCheckInterval, cancellationToken);
                }
                backoff.Reset();
            }
            catch (SecureMessagingException e)
            {
                ReadingFailed(logger, e.ErrorCode);
                warnings.Raise(ClientWarningKind.Reading, $"A log cannot be read yet: {e.Message}", e);
                await backoff.DelayAsync(e.RetryAfter, cancellationToken);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                ReadingBroke(logger, e);
                warnings.Raise(ClientWarningKind.Reading, $"Reading failed and is retried: {e.Message}", e);
                await backoff.DelayAsync(null, cancellationToken);
            }
        }
    }

    private async Task ReadHeadsAsync(HubLink link, CancellationToken cancellationToken)
    {
        Dictionary<Guid, RoomPosition> before;
        lock (gate)
            before = new(rooms);
        RoomHead[] heads;
        try
        {
            heads = await link.InvokeAsync<RoomHead[]>(nameof(IChatHub.Heads), [], all => !all.Contains(null!), cancellationToken);
        }
        catch
        {
            CompareHeads();
            throw;
        }
        lock (gate)
        {
            foreach (var head in heads)
            {
                var room = Room(head.RoomId);
                if (!room.Ended && (room.Cursor is not { } cursor || cursor < head.HeadSeq))
                    Mark(head.RoomId, room);
                before.Remove(head.RoomId);
            }
            // Rooms that were known before the call and are not in the answer: left while there was no connection.
            foreach (var (id, room) in before)
            {
                if (rooms.GetValueOrDefault(id) == room && !room.Ended)
                    End(id, RoomChange.Left);
            }
        }
    }

    /// <summary>Reads a marked room. It stays marked until it is read.</summary>
    private async Task ReadDirtyAsync(HubLink link, Guid roomId, RoomPosition room, CancellationToken cancellationToken)
    {
        try
        {
            await ReadLogAsync(link, roomId, room, cancellationToken);
        }
        catch
        {
            lock (gate)
            {
                if (!room.Ended)
                    Mark(roomId, room);
            }
            throw;
        }
    }

    /// <summary>Reads a room's log from its cursor to its head, waiting for the application when the queue is full.</summary>
    private async Task ReadLogAsync(HubLink link, Guid roomId, RoomPosition room, CancellationToken cancellationToken)
    {
        while (!room.Ended)
        {
            LogPage page;
            try
            {
                page = await ReadPageAsync(link, roomId, room.Cursor ?? 0, Limits.Default.PageEntries, cancellationToken);
            }
            catch (SecureMessagingException e) when (e.ErrorCode == ErrorCode.NotFound)
            {
                lock (gate)
                {
                    if (rooms.GetValueOrDefault(roomId) == room)
                        End(roomId, RoomChange.Left);
                }
                return;
            }
            await SkipToAsync(roomId, room, page.FirstSeq, cancellationToken);
            foreach (var entry in page.Entries)
            {
                if (await PutAsync(roomId, room, entry, cancellationToken))
                    continue;
                if (!room.Ended && !cancellationToken.IsCancellationRequested)
                    warnings.Raise(ClientWarningKind.Reading, $"The server's page omits entries before {entry.Seq}. It is read again.", roomId: roomId);
                return;
            }
            if (page.Entries.Length == 0 || page.Entries[^1].Seq >= page.HeadSeq)
                return;
        }
    }

    /// <summary>Moves the cursor before the first readable entry, and reports skipped entries.</summary>
    private async Task SkipToAsync(Guid roomId, RoomPosition room, long firstSeq, CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (gate)
            {
                if (room.Cursor is not { } cursor)
                {
                    room.Cursor = firstSeq - 1;
                    break;
                }
                if (cursor >= firstSeq - 1 || room.Ended)
                    return;
                if (queue.Writer.TryWrite(new(roomId, null, cursor + 1, firstSeq - 1, null)))
                {
                    room.Cursor = firstSeq - 1;
                    return;
                }
            }
            if (!await queue.Writer.WaitToWriteAsync(cancellationToken))
                return;
        }
        // From here on the application gets every entry, or a report that it has expired.
        Taken(new(roomId, null, 0, firstSeq - 1, null));
    }

    private async Task<bool> PutAsync(Guid roomId, RoomPosition room, LogEntry entry, CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (gate)
            {
                switch (Accept(roomId, room, entry))
                {
                    case Acceptance.Full:
                        break;
                    case Acceptance.Hole:
                        // A page is contiguous, so the room ended or the server is wrong. The next comparison of heads retries.
                        return false;
                    default:
                        return true;
                }
            }
            if (!await queue.Writer.WaitToWriteAsync(cancellationToken))
                return false;
        }
    }

    /// <summary>The only place where entries enter the queue. Called under the lock.</summary>
    private Acceptance Accept(Guid roomId, RoomPosition room, LogEntry entry)
    {
        if (room.Ended || room.Cursor is not { } cursor || entry.Seq > cursor + 1)
            return Acceptance.Hole;
        if (entry.Seq <= cursor)
            return Acceptance.Old;
        if (!queue.Writer.TryWrite(new(roomId, entry, 0, 0, null)))
            return Acceptance.Full;
        room.Cursor = entry.Seq;
        return Acceptance.Taken;
    }

    /// <summary>Called under the lock. The position stays until the end was reported. A later joining starts a new one.</summary>
    private void End(Guid roomId, RoomChange change)
    {
        var room = Room(roomId);
        room.End = change;
        room.Dirty = false;
        work.Set();
    }

    /// <summary>Called under the lock. Rooms are read in the order in which they were marked.</summary>
    private void Mark(Guid roomId, RoomPosition room)
    {
        if (!room.Dirty)
            dirty.Enqueue(roomId);
        room.Dirty = true;
        work.Set();
    }

    private RoomPosition Room(Guid roomId)
    {
        if (!rooms.TryGetValue(roomId, out var room))
            rooms[roomId] = room = new();
        return room;
    }

    private Arrival? TakeEnded()
    {
        lock (gate)
        {
            foreach (var (id, room) in rooms)
            {
                if (room.End is not { } change)
                    continue;
                rooms.Remove(id);
                // Joined again before the end was reported: read it as a new room.
                if (room.Dirty)
                    Mark(id, Room(id));
                return new(id, null, 0, 0, change);
            }
            return null;
        }
    }

    private KeyValuePair<Guid, RoomPosition>? TakeDirty()
    {
        lock (gate)
        {
            while (dirty.TryDequeue(out var id))
            {
                if (!rooms.TryGetValue(id, out var room) || !room.Dirty || room.Ended)
                    continue;
                room.Dirty = false;
                return new(id, room);
            }
            return null;
        }
    }

    private bool TakeHeadsDue()
    {
        lock (gate)
            return headsDue && !(headsDue = false);
    }

    [LoggerMessage(7006, LogLevel.Debug, "Reading the log failed: {Code}")]
    private static partial void ReadingFailed(ILogger logger, ErrorCode code);

    [LoggerMessage(7009, LogLevel.Warning, "A cursor cannot be written: {Reason}")]
    private static partial void StoreFailed(ILogger logger, string reason);

    [LoggerMessage(7013, LogLevel.Error, "Reading the log failed and is retried")]
    private static partial void ReadingBroke(ILogger logger, Exception exception);

    private enum Acceptance
    {
        Taken,
        Old,
        Hole,
        Full,
    }
}
