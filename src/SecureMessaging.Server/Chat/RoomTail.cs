using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// One room's log as this node delivers it: strictly in seq order, without gaps, applying roster entries as they pass. Not thread-safe; its shard is.
/// </summary>
/// <param name="roomId">The room.</param>
/// <param name="delivered">The seq after which delivery begins.</param>
/// <param name="connections">Where the connections of a user who joins are found.</param>
/// <param name="metrics">Counts what is delivered.</param>
internal sealed class RoomTail(Guid roomId, long delivered, ChatConnections connections, ServerMetrics metrics)
{
    /// <summary>Entries kept while a gap before them is being filled. Past it they are dropped: the fill reads them too.</summary>
    private const int MaxWaiting = 1024;

    /// <summary>Where a run of entries is cut into several messages.</summary>
    private const int MaxMessageBytes = 256 * 1024;

    /// <summary>What an entry takes beside its ciphertext, roughly.</summary>
    private const int EntryBytes = 150;

    private readonly Dictionary<ChatConnection, long> subscribers = [];
    private readonly SortedDictionary<long, LogEntry> waiting = [];
    private long lastRosterSeq = delivered;
    private long head = delivered;
    private int notes;
    private int notesBeforeRead;

    public Guid RoomId => roomId;

    /// <summary>Everything up to here has been delivered.</summary>
    public long Delivered { get; private set; } = delivered;

    /// <summary>Whether the log is known to go on beyond what could be delivered.</summary>
    public bool HasGap => head > Delivered;

    public bool IsEmpty => subscribers.Count == 0;

    /// <summary>Whether a read of the gap is under way.</summary>
    public bool Filling { get; set; }

    /// <summary>
    /// Adds a connection whose membership was read when the log stood at <paramref name="asOfSeq"/>. False when the roster has changed since:
    /// then the membership must be read again.
    /// </summary>
    public bool TrySubscribe(ChatConnection connection, long joinedSeq, long asOfSeq)
    {
        if (asOfSeq < lastRosterSeq)
            return false;
        if (!subscribers.ContainsKey(connection) && connection.TryEnter(roomId))
            subscribers.Add(connection, joinedSeq);
        return true;
    }

    /// <summary>
    /// Lets the connections of a user in who joined at <paramref name="joinedSeq"/>, as was known when the log stood at <paramref name="asOfSeq"/>:
    /// when the joining passes here, or now if it has passed already.
    /// </summary>
    public void Admit(Guid userId, long joinedSeq, long asOfSeq)
    {
        Note(joinedSeq);
        if (Delivered < joinedSeq)
            return;
        foreach (var connection in connections.Of(userId))
        {
            if (!subscribers.ContainsKey(connection) && TrySubscribe(connection, joinedSeq, asOfSeq))
                connection.SendRoomChanged(roomId, RoomChange.Joined);
        }
    }

    public void Unsubscribe(ChatConnection connection)
    {
        if (subscribers.Remove(connection))
            connection.Leave(roomId);
    }

    /// <summary>Takes entries in any order, any number of times, and delivers what is next.</summary>
    public void Accept(IReadOnlyList<LogEntry> entries)
    {
        if (entries.Count == 0)
            return;
        if (waiting.Count == 0 && entries[0].Seq == Delivered + 1 && IsContiguous(entries))
        {
            Deliver(entries);
            return;
        }

        foreach (var entry in entries)
        {
            head = Math.Max(head, entry.Seq);
            if (entry.Seq > Delivered && waiting.Count < MaxWaiting)
                waiting[entry.Seq] = entry;
        }

        DeliverWaiting();
    }

    /// <summary>A read of the log after <see cref="Delivered"/> begins. It ends in <see cref="Fill"/>, in <see cref="FillNothing"/> or in a failure.</summary>
    public void BeginRead()
    {
        Filling = true;
        notesBeforeRead = notes;
    }

    /// <summary>Takes what the log holds after <see cref="Delivered"/>.</summary>
    public void Fill(IReadOnlyList<LogEntry> entries)
    {
        if (entries[0].Seq > Delivered + 1)
            Skip(entries[0].Seq - 1);
        // Past the entries that wait: they may have taken every place while the gap was read, and none of them can go before these.
        if (entries.SkipWhile(entry => entry.Seq <= Delivered).ToArray() is { Length: > 0 } missing)
            Deliver(missing);
        DeliverWaiting();
        // A page may end before the log does.
        if (waiting.Count == 0)
            Recheck();
    }

    /// <summary>
    /// The log held nothing after <see cref="Delivered"/> when it was read. What waits here was committed since, and what has been noted since may have been:
    /// then it is read once more.
    /// </summary>
    public void FillNothing()
    {
        if (waiting.Count == 0 && notes == notesBeforeRead)
            head = Delivered;
    }

    /// <summary>Assumes that the log goes on, so that it is read once more.</summary>
    public void Recheck() => Note(Delivered + 1);

    /// <summary>Learns how far the log goes without being given the entries.</summary>
    public void Note(long headSeq)
    {
        if (headSeq <= Delivered)
            return;
        head = Math.Max(head, headSeq);
        notes++;
    }

    public void Signal(byte[] signal)
    {
        var ephemeral = new SignalEphemeral(roomId, signal, HubMessages.Create(nameof(IChatClient.Signaled), roomId, signal));
        foreach (var connection in subscribers.Keys)
            connection.SendEphemeral(ephemeral);
    }

    /// <summary>The room is no more.</summary>
    public void Close()
    {
        foreach (var connection in subscribers.Keys)
        {
            connection.SendRoomChanged(roomId, RoomChange.Deleted);
            connection.Leave(roomId);
        }

        subscribers.Clear();
    }

    /// <summary>
    /// History has expired before it could be delivered here, and with it who came and went. Who is connected connects again and is let in afresh.
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

    private void DeliverWaiting()
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
            Deliver(run);
    }

    private void Deliver(IReadOnlyList<LogEntry> entries)
    {
        var start = 0;
        for (var i = 0; i < entries.Count; i++)
        {
            if (entries[i].Kind is not (EntryKind.MemberJoined or EntryKind.MemberLeft))
                continue;
            // The roster changes exactly here: who left sees its leaving and nothing after, who joined its joining and nothing before.
            if (entries[i].Kind == EntryKind.MemberJoined)
            {
                Send(entries, start, i);
                start = i;
                Join(entries[i]);
            }
            else
            {
                Send(entries, start, i + 1);
                start = i + 1;
                Part(entries[i]);
            }

            lastRosterSeq = entries[i].Seq;
        }

        Send(entries, start, entries.Count);
        Delivered = entries[^1].Seq;
        head = Math.Max(head, Delivered);
    }

    private void Send(IReadOnlyList<LogEntry> entries, int start, int end)
    {
        if (subscribers.Count == 0)
            return;
        while (start < end)
        {
            var (next, bytes) = (start, 0);
            do
                bytes += EntryBytes + (entries[next++].Ciphertext?.Length ?? 0);
            while (next < end && bytes < MaxMessageBytes);
            Send(entries is LogEntry[] all && next - start == all.Length ? all : [.. entries.Skip(start).Take(next - start)], bytes);
            start = next;
        }
    }

    private void Send(LogEntry[] run, int bytes)
    {
        var all = CreateRun(run, bytes);
        metrics.Delivered(run.Length * subscribers.Count);
        foreach (var (connection, joinedSeq) in subscribers)
        {
            if (joinedSeq <= run[0].Seq)
                connection.SendEntries(all);
            else
                SendFrom(joinedSeq, connection, run, bytes);
        }
    }

    // By itself, because a closure in the loop over all subscribers would be allocated for each of them.
    private void SendFrom(long seq, ChatConnection connection, LogEntry[] run, int bytes)
    {
        if (run.SkipWhile(entry => entry.Seq < seq).ToArray() is { Length: > 0 } own)
            connection.SendEntries(CreateRun(own, bytes));
    }

    private EntryRun CreateRun(LogEntry[] entries, int bytes) => new(roomId, entries, HubMessages.Create(nameof(IChatClient.Received), roomId, entries), bytes);

    private void Join(LogEntry entry)
    {
        if (entry.UserId is not { } userId)
            return;
        foreach (var connection in connections.Of(userId))
        {
            if (subscribers.TryAdd(connection, entry.Seq))
            {
                if (connection.TryEnter(roomId))
                    connection.SendRoomChanged(roomId, RoomChange.Joined);
                else
                    subscribers.Remove(connection);
            }
        }
    }

    private void Part(LogEntry entry)
    {
        if (entry.UserId is not { } userId)
            return;
        foreach (var connection in subscribers.Keys.Where(connection => connection.UserId == userId).ToList())
        {
            connection.SendRoomChanged(roomId, RoomChange.Left);
            Unsubscribe(connection);
        }
    }
}
