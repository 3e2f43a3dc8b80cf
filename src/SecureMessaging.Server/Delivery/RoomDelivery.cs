using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Delivery;

/// <summary>
/// Delivers one room's log on this node in seq order, without gaps, and applies roster entries in that order. Not thread-safe: its shard serialises
/// calls.
/// </summary>
/// <remarks>
/// <code>
///         delivered            waiting (ahead of a gap)
/// seq  1 2 3 4 5 │ 6 ? 7 ? │ 8 9 10 …
///                ▲ Delivered        ▲ head: the log is known to reach here
/// </code>
/// 1. Entries come in any order and any number of times; the next seq is delivered at once.
/// 2. While head is past Delivered, entries wait and the shard reads the gap from the log.
/// 3. A MemberJoined or MemberLeft changes the subscribers exactly at its seq.
/// </remarks>
/// <param name="roomId">The room.</param>
/// <param name="delivered">Delivery begins after this seq.</param>
/// <param name="connections">Finds the connections of a user who joins.</param>
/// <param name="metrics">Counts delivered entries.</param>
internal sealed class RoomDelivery(Guid roomId, long delivered, Subscribers connections, ServerMetrics metrics)
{
    /// <summary>Entries kept while a gap is read. More are dropped, because the read finds them too.</summary>
    private const int MaxWaiting = 1024;

    private const int MaxMessageBytes = 256 * 1024;

    private const int EntryBytes = 150;

    private readonly Dictionary<Subscriber, long> subscribers = [];
    private readonly SortedDictionary<long, LogEntry> waiting = [];
    private long lastRosterSeq = delivered;
    private long head = delivered;
    private int notes;
    private int notesBeforeRead;

    public Guid RoomId => roomId;

    /// <summary>Every entry up to this seq is delivered.</summary>
    public long Delivered { get; private set; } = delivered;

    public bool HasGap => head > Delivered;

    public bool IsEmpty => subscribers.Count == 0;

    /// <summary>Whether a read of the gap is running or scheduled.</summary>
    public bool Filling { get; set; }

    /// <summary>
    /// Adds a connection whose membership was read when the log's head was <paramref name="asOfSeq"/>. False: the roster has changed since, and the
    /// caller must read the membership again.
    /// </summary>
    public bool TrySubscribe(Subscriber connection, long joinedSeq, long asOfSeq)
    {
        if (asOfSeq < lastRosterSeq)
            return false;
        if (!subscribers.ContainsKey(connection) && connection.TryEnter(roomId))
            subscribers.Add(connection, joinedSeq);
        return true;
    }

    /// <summary>
    /// Adds the connections of a user who joined at <paramref name="joinedSeq"/>: at once if that entry is delivered already, otherwise when it is.
    /// The membership was read when the log's head was <paramref name="asOfSeq"/>.
    /// </summary>
    public void Admit(Guid userId, long joinedSeq, long asOfSeq, WriteBatch? writes = null)
    {
        Note(joinedSeq);
        if (Delivered < joinedSeq)
            return;
        foreach (var connection in connections.Of(userId))
        {
            if (!subscribers.ContainsKey(connection) && TrySubscribe(connection, joinedSeq, asOfSeq))
                connection.SendRoomChanged(roomId, RoomChange.Joined, Delivered + 1, writes);
        }
    }

    public void Unsubscribe(Subscriber connection)
    {
        if (subscribers.Remove(connection))
            connection.Leave(roomId);
    }

    /// <summary>Takes entries in any order, any number of times, and delivers those that are next.</summary>
    public void Accept(IReadOnlyList<LogEntry> entries, WriteBatch? writes = null)
    {
        if (entries.Count == 0)
            return;
        if (waiting.Count == 0 && entries[0].Seq == Delivered + 1 && IsContiguous(entries))
        {
            Deliver(entries, writes);
            return;
        }

        foreach (var entry in entries)
        {
            head = Math.Max(head, entry.Seq);
            if (entry.Seq > Delivered && waiting.Count < MaxWaiting)
                waiting[entry.Seq] = entry;
        }

        DeliverWaiting(writes);
    }

    /// <summary>Begins a read after <see cref="Delivered"/>, which ends in <see cref="Fill"/>, <see cref="FillNothing"/> or a failure.</summary>
    public void BeginRead()
    {
        Filling = true;
        notesBeforeRead = notes;
    }

    public void Fill(IReadOnlyList<LogEntry> entries, WriteBatch? writes = null)
    {
        if (entries[0].Seq > Delivered + 1)
            Skip(entries[0].Seq - 1);
        // Bypasses the waiting entries: they may fill every place, and none of them can be delivered before these.
        if (entries.SkipWhile(entry => entry.Seq <= Delivered).ToArray() is { Length: > 0 } missing)
            Deliver(missing, writes);
        DeliverWaiting(writes);
        // The page may end before the log does.
        if (waiting.Count == 0)
            Recheck();
    }

    /// <summary>
    /// The log held nothing after <see cref="Delivered"/>. Entries that wait or were noted since the read began may be newer than the read; then the
    /// log is read once more.
    /// </summary>
    public void FillNothing()
    {
        if (waiting.Count == 0 && notes == notesBeforeRead)
            head = Delivered;
    }

    public void Recheck() => Note(Delivered + 1);

    public void Note(long headSeq)
    {
        if (headSeq <= Delivered)
            return;
        head = Math.Max(head, headSeq);
        notes++;
    }

    public void Signal(byte[] signal)
    {
        var ephemeral = new SignalSent(roomId, signal);
        foreach (var connection in subscribers.Keys)
            connection.SendEphemeral(ephemeral);
    }

    public void Close(WriteBatch? writes = null)
    {
        foreach (var connection in subscribers.Keys)
        {
            connection.SendRoomChanged(roomId, RoomChange.Deleted, head, writes);
            connection.Leave(roomId);
        }

        subscribers.Clear();
    }

    /// <summary>
    /// Entries expired before this node delivered them, and with them the roster's changes. All subscribers are disconnected: they reconnect and are
    /// subscribed by the current roster.
    /// </summary>
    private void Skip(long seq)
    {
        Delivered = seq;
        lastRosterSeq = Math.Max(lastRosterSeq, seq);
        foreach (var connection in subscribers.Keys.ToList())
        {
            Unsubscribe(connection);
            connection.Abort();
        }
    }

    private static bool IsContiguous(IReadOnlyList<LogEntry> entries) => entries[^1].Seq - entries[0].Seq == entries.Count - 1;

    private void DeliverWaiting(WriteBatch? writes)
    {
        List<LogEntry>? run = null;
        var next = Delivered + 1;
        while (waiting.Count > 0)
        {
            var (seq, entry) = waiting.First();
            if (seq > next)
                break;
            waiting.Remove(seq);
            if (seq < next)
                continue;
            (run ??= []).Add(entry);
            next++;
        }

        if (run is not null)
            Deliver(run, writes);
    }

    private void Deliver(IReadOnlyList<LogEntry> entries, WriteBatch? writes)
    {
        var start = 0;
        for (var i = 0; i < entries.Count; i++)
        {
            if (entries[i].Kind is not (EntryKind.MemberJoined or EntryKind.MemberLeft))
                continue;
            // The roster changes exactly here: a leaving member sees its MemberLeft and nothing after, a joining member its MemberJoined and nothing
            // before.
            if (entries[i].Kind == EntryKind.MemberJoined)
            {
                Send(entries, start, i, writes);
                start = i;
                Join(entries[i], writes);
            }
            else
            {
                Send(entries, start, i + 1, writes);
                start = i + 1;
                Part(entries[i], writes);
            }

            lastRosterSeq = entries[i].Seq;
        }

        Send(entries, start, entries.Count, writes);
        Delivered = entries[^1].Seq;
        head = Math.Max(head, Delivered);
    }

    private void Send(IReadOnlyList<LogEntry> entries, int start, int end, WriteBatch? writes)
    {
        if (subscribers.Count == 0)
            return;
        while (start < end)
        {
            var (next, bytes) = (start, 0);
            do
                bytes += EntryBytes + (entries[next++].Ciphertext?.Length ?? 0);
            while (next < end && bytes < MaxMessageBytes);
            Send(entries is LogEntry[] all && next - start == all.Length ? all : [.. entries.Skip(start).Take(next - start)], bytes, writes);
            start = next;
        }
    }

    private void Send(LogEntry[] run, int bytes, WriteBatch? writes)
    {
        var all = new EntryRun(roomId, run, bytes);
        metrics.Delivered(run.Length * subscribers.Count);
        foreach (var (connection, joinedSeq) in subscribers)
        {
            if (joinedSeq <= run[0].Seq)
                connection.SendEntries(all, writes);
            else
                SendFrom(joinedSeq, connection, run, bytes, writes);
        }
    }

    // A method of its own: a closure in the loop over all subscribers would be allocated for each of them.
    private void SendFrom(long seq, Subscriber connection, LogEntry[] run, int bytes, WriteBatch? writes)
    {
        if (run.SkipWhile(entry => entry.Seq < seq).ToArray() is { Length: > 0 } own)
            connection.SendEntries(new EntryRun(roomId, own, bytes), writes);
    }

    private void Join(LogEntry entry, WriteBatch? writes)
    {
        if (entry.UserId is not { } userId)
            return;
        foreach (var connection in connections.Of(userId))
        {
            if (subscribers.TryAdd(connection, entry.Seq))
            {
                if (connection.TryEnter(roomId))
                    connection.SendRoomChanged(roomId, RoomChange.Joined, entry.Seq, writes);
                else
                    subscribers.Remove(connection);
            }
        }
    }

    private void Part(LogEntry entry, WriteBatch? writes)
    {
        if (entry.UserId is not { } userId)
            return;
        foreach (var connection in subscribers.Keys.Where(connection => connection.UserId == userId).ToList())
        {
            connection.SendRoomChanged(roomId, RoomChange.Left, entry.Seq, writes);
            Unsubscribe(connection);
        }
    }
}
