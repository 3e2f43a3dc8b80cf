using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// Brings every room's log to the application once, in order and without holes, through a bounded queue.
/// A push that continues the log goes straight into the queue. Anything else (a hole, a full queue, a hint that something was left out) only marks the room,
/// and one pump reads marked rooms page by page, as fast as the application takes them. So the receive loop never waits and memory stays bounded.
/// </summary>
internal sealed partial class Inbox : IHubPushes
{
    private readonly ClientStore _store;
    private readonly ClientOptions _options;
    private readonly Warnings _warnings;
    private readonly ILogger _logger;
    private readonly Channel<Arrival> _queue;
    private readonly Wakeup _work;
    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, RoomPosition> _rooms = [];
    private readonly Queue<Guid> _dirty = [];
    private bool _headsDue;

    public Inbox(ClientStore store, ClientOptions options, Warnings warnings, ILogger logger)
    {
        (_store, _options, _warnings, _logger) = (store, options, warnings, logger);
        _queue = Channel.CreateBounded<Arrival>(new BoundedChannelOptions(options.EventBuffer) { SingleReader = true });
        _work = new(options.TimeProvider);
        foreach (var cursor in store.ReadCursors())
            _rooms[Guid.Parse(cursor.RoomId)] = new() { Cursor = cursor.Seq };
    }

    /// <summary>An ephemeral signal came in.</summary>
    public event Action<RoomSignal>? Signaled;

    public ChannelReader<Arrival> Arrivals => _queue.Reader;

    /// <summary>After a connect, and whenever a push may have been lost: compare the heads.</summary>
    public void CompareHeads()
    {
        lock (_gate)
            _headsDue = true;
        _work.Set();
    }

    /// <summary>The application is done with an arrival. A disk that is full now is no reason to stop reading: the next cursor makes up for this one.</summary>
    public void Taken(Arrival arrival)
    {
        try
        {
            if (arrival.End is not null)
                _store.ForgetCursor(arrival.RoomId);
            else
                _store.WriteCursor(arrival.RoomId, arrival.Entry?.Seq ?? arrival.GapTo);
        }
        catch (IOException e)
        {
            StoreFailed(_logger, e.Message);
            _warnings.Raise(ClientWarningKind.Store, $"A cursor cannot be written: {e.Message}", e, arrival.RoomId);
        }
    }

    /// <summary>One page of a log.</summary>
    public static Task<LogPage> ReadPageAsync(HubLink link, Guid roomId, long afterSeq, int limit, CancellationToken cancellationToken) =>
        link.InvokeAsync<LogPage>(
            nameof(IChatHub.Sync), [roomId, afterSeq, limit], page => page.Entries is not null && !page.Entries.Contains(null!), cancellationToken);

    public void Close(Exception? reason) => _queue.Writer.TryComplete(reason);

    public void OnReceived(Guid roomId, LogEntry[] entries)
    {
        lock (_gate)
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
        lock (_gate)
            Mark(roomId, Room(roomId));
    }

    public void OnRoomChanged(Guid roomId, RoomChange change)
    {
        lock (_gate)
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
                    // A change of a later version: the heads say which rooms there are.
                    CompareHeads();
                    break;
            }
        }
    }

    public void OnSignaled(Guid roomId, byte[] signal) => Signaled?.Invoke(new(roomId, signal));

    /// <summary>The pump.</summary>
    public async Task RunAsync(HubLink link, CancellationToken cancellationToken)
    {
        var backoff = new Backoff(_options);
        var lastCheck = _options.TimeProvider.GetTimestamp();
        while (true)
        {
            try
            {
                if (TakeEnded() is { } ended)
                {
                    await _queue.Writer.WriteAsync(ended, cancellationToken);
                    continue;
                }
                if (_options.TimeProvider.GetElapsedTime(lastCheck) >= _options.HeadCheckInterval)
                    CompareHeads();
                if (TakeHeadsDue())
                {
                    await ReadHeadsAsync(link, cancellationToken);
                    lastCheck = _options.TimeProvider.GetTimestamp();
                }
                else if (TakeDirty() is { } dirty)
                {
                    await ReadDirtyAsync(link, dirty.Key, dirty.Value, cancellationToken);
                }
                else
                {
                    await _work.WaitAsync(_options.HeadCheckInterval, cancellationToken);
                }
                backoff.Reset();
            }
            catch (SecureMessagingException e)
            {
                ReadingFailed(_logger, e.ErrorCode);
                _warnings.Raise(ClientWarningKind.Reading, $"A log cannot be read yet: {e.Message}", e);
                await backoff.DelayAsync(e.RetryAfter, cancellationToken);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                ReadingBroke(_logger, e);
                _warnings.Raise(ClientWarningKind.Reading, $"Reading broke off; it is tried again: {e.Message}", e);
                await backoff.DelayAsync(null, cancellationToken);
            }
        }
    }

    private async Task ReadHeadsAsync(HubLink link, CancellationToken cancellationToken)
    {
        Dictionary<Guid, RoomPosition> before;
        lock (_gate)
            before = new(_rooms);
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
        lock (_gate)
        {
            foreach (var head in heads)
            {
                var room = Room(head.RoomId);
                if (!room.Ended && (room.Cursor is not { } cursor || cursor < head.HeadSeq))
                    Mark(head.RoomId, room);
                before.Remove(head.RoomId);
            }
            // Rooms that were known before the question and are not in the answer: left while nobody listened.
            foreach (var (id, room) in before)
            {
                if (_rooms.GetValueOrDefault(id) == room && !room.Ended)
                    End(id, RoomChange.Left);
            }
        }
    }

    /// <summary>Reads a marked room; whatever comes in between, it stays marked until it is read.</summary>
    private async Task ReadDirtyAsync(HubLink link, Guid roomId, RoomPosition room, CancellationToken cancellationToken)
    {
        try
        {
            await ReadLogAsync(link, roomId, room, cancellationToken);
        }
        catch
        {
            lock (_gate)
            {
                if (!room.Ended)
                    Mark(roomId, room);
            }
            throw;
        }
    }

    /// <summary>Reads a room's log from its cursor to its head, waiting for the application where it must.</summary>
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
                lock (_gate)
                {
                    if (_rooms.GetValueOrDefault(roomId) == room)
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
                    _warnings.Raise(ClientWarningKind.Reading, $"The server's page leaves out entries before {entry.Seq}; it is read again.", roomId: roomId);
                return;
            }
            if (page.Entries.Length == 0 || page.Entries[^1].Seq >= page.HeadSeq)
                return;
        }
    }

    /// <summary>Places the cursor before the first entry that can be read, and says so when something known was skipped.</summary>
    private async Task SkipToAsync(Guid roomId, RoomPosition room, long firstSeq, CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (_gate)
            {
                if (room.Cursor is not { } cursor)
                {
                    room.Cursor = firstSeq - 1;
                    break;
                }
                if (cursor >= firstSeq - 1 || room.Ended)
                    return;
                if (_queue.Writer.TryWrite(new(roomId, null, cursor + 1, firstSeq - 1, null)))
                {
                    room.Cursor = firstSeq - 1;
                    return;
                }
            }
            if (!await _queue.Writer.WaitToWriteAsync(cancellationToken))
                return;
        }
        // From here on the application is owed every entry, or word of its expiry.
        Taken(new(roomId, null, 0, firstSeq - 1, null));
    }

    private async Task<bool> PutAsync(Guid roomId, RoomPosition room, LogEntry entry, CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (_gate)
            {
                switch (Accept(roomId, room, entry))
                {
                    case Acceptance.Full:
                        break;
                    case Acceptance.Hole:
                        // A page is contiguous, so the room ended, or the server is at fault; the next comparison of heads tries again.
                        return false;
                    default:
                        return true;
                }
            }
            if (!await _queue.Writer.WaitToWriteAsync(cancellationToken))
                return false;
        }
    }

    /// <summary>The one place where entries enter the queue. Called under the lock.</summary>
    private Acceptance Accept(Guid roomId, RoomPosition room, LogEntry entry)
    {
        if (room.Ended || room.Cursor is not { } cursor || entry.Seq > cursor + 1)
            return Acceptance.Hole;
        if (entry.Seq <= cursor)
            return Acceptance.Old;
        if (!_queue.Writer.TryWrite(new(roomId, entry, 0, 0, null)))
            return Acceptance.Full;
        room.Cursor = entry.Seq;
        return Acceptance.Taken;
    }

    /// <summary>Called under the lock. The position stays until the pump has announced the end; a later joining starts a new one.</summary>
    private void End(Guid roomId, RoomChange change)
    {
        var room = Room(roomId);
        room.End = change;
        room.Dirty = false;
        _work.Set();
    }

    /// <summary>Called under the lock. Rooms are read in the order in which they were marked.</summary>
    private void Mark(Guid roomId, RoomPosition room)
    {
        if (!room.Dirty)
            _dirty.Enqueue(roomId);
        room.Dirty = true;
        _work.Set();
    }

    private RoomPosition Room(Guid roomId)
    {
        if (!_rooms.TryGetValue(roomId, out var room))
            _rooms[roomId] = room = new();
        return room;
    }

    private Arrival? TakeEnded()
    {
        lock (_gate)
        {
            foreach (var (id, room) in _rooms)
            {
                if (room.End is not { } change)
                    continue;
                _rooms.Remove(id);
                // Joined again before the end was announced: read it as the new room that it is.
                if (room.Dirty)
                    Mark(id, Room(id));
                return new(id, null, 0, 0, change);
            }
            return null;
        }
    }

    private KeyValuePair<Guid, RoomPosition>? TakeDirty()
    {
        lock (_gate)
        {
            while (_dirty.TryDequeue(out var id))
            {
                if (!_rooms.TryGetValue(id, out var room) || !room.Dirty || room.Ended)
                    continue;
                room.Dirty = false;
                return new(id, room);
            }
            return null;
        }
    }

    private bool TakeHeadsDue()
    {
        lock (_gate)
            return _headsDue && !(_headsDue = false);
    }

    [LoggerMessage(7006, LogLevel.Debug, "Reading the log failed: {Code}")]
    private static partial void ReadingFailed(ILogger logger, ErrorCode code);

    [LoggerMessage(7009, LogLevel.Warning, "A cursor cannot be written: {Reason}")]
    private static partial void StoreFailed(ILogger logger, string reason);

    [LoggerMessage(7013, LogLevel.Error, "Reading the log broke off; it is tried again")]
    private static partial void ReadingBroke(ILogger logger, Exception exception);

    private enum Acceptance
    {
        Taken,
        Old,
        Hole,
        Full,
    }
}
