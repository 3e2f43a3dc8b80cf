using System.Collections.Concurrent;
using System.Threading.Channels;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;
using StackExchange.Redis;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// What this node has to tell the others, until it is published. What a batch has committed leaves with the batch's writes, ahead of those to its clients, so that no loop
/// has to be woken for it.
/// </summary>
/// <remarks>
/// Nobody waits and everything is bounded. What Redis takes slowly gathers in the library, which knows no bound; so nothing more is given to it while too much is on its way
/// that this node's own ping has not followed. Then entries gather here, and what does not fit is told by heads alone, one a room.
/// </remarks>
internal sealed partial class BusOutbox(Guid node, BusSeal seal, RedisChannel channel, ILogger logger) : IThreadPoolWorkItem
{
    private const int MaxQueued = 10_000;

    /// <summary>Bytes of entries that may wait to be published, and that go into one message.</summary>
    private const int MaxQueuedBytes = 4 * 1024 * 1024;
    private const int MaxMessageBytes = 128 * 1024;

    /// <summary>Bytes of which nobody knows yet whether Redis has taken them: what a busy node publishes in a second.</summary>
    private const int MaxUnheardBytes = 16 * 1024 * 1024;

    private readonly ConcurrentDictionary<Guid, long> heads = new();
    private readonly Channel<byte[]> others = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(MaxQueued) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Channel<CommittedEntries> committed = Channel.CreateBounded<CommittedEntries>(new BoundedChannelOptions(MaxQueued));
    private readonly Lock publishing = new();
    private volatile ISubscriber? redis;
    private long committedBytes;
    private long unheardBytes;
    private int isDue;

    /// <summary>Begins to publish.</summary>
    public void Open(ISubscriber subscriber) => redis = subscriber;

    /// <summary>Publishes nothing more; afterwards nobody is sealing.</summary>
    public void Close()
    {
        lock (publishing)
            redis = null;
    }

    public void Add(CommittedEntries entries)
    {
        var bytes = Weigh(entries);
        if (Interlocked.Add(ref committedBytes, bytes) > MaxQueuedBytes || !committed.Writer.TryWrite(entries))
        {
            Interlocked.Add(ref committedBytes, -bytes);
            AddHead(entries.RoomId, entries.Entries[^1].Seq);
        }

        SetDue();
    }

    /// <summary>Tells how far a room's log goes.</summary>
    public void AddHead(Guid roomId, long seq)
    {
        heads.AddOrUpdate(roomId, static (_, seq) => seq, static (_, earlier, seq) => Math.Max(earlier, seq), seq);
        SetDue();
    }

    /// <summary>What does not fit is dropped.</summary>
    public void Add(byte[] message)
    {
        others.Writer.TryWrite(message);
        SetDue();
    }

    /// <summary>Drops what waits: when Redis is back, all is looked up in the database.</summary>
    public void Clear()
    {
        lock (publishing)
        {
            heads.Clear();
            while (others.Reader.TryRead(out _))
            {
            }

            while (committed.Reader.TryRead(out var entries))
                Interlocked.Add(ref committedBytes, -Weigh(entries));
        }
    }

    /// <summary>Publishes at once, whatever waits.</summary>
    public void Send(byte[] message)
    {
        if (redis is not { } subscriber)
            return;
        Interlocked.Add(ref unheardBytes, message.Length);
        try
        {
            subscriber.Publish(channel, message, CommandFlags.FireAndForget);
        }
        catch (Exception exception) when (exception is RedisException or ObjectDisposedException or TimeoutException)
        {
            // Away. The pings notice, and the sweep takes over.
        }
    }

    /// <summary>An own ping has come back, and so whatever was published before it has arrived.</summary>
    public void NotePing()
    {
        if (Interlocked.Exchange(ref unheardBytes, 0) > MaxUnheardBytes)
            SetDue();
    }

    /// <summary>Publishes what waits.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        lock (publishing)
        {
            // First, so that whatever is not seen here makes it due again.
            Interlocked.Exchange(ref isDue, 0);
            if (redis is null || Interlocked.Read(ref unheardBytes) > MaxUnheardBytes)
                return;
            try
            {
                Publish();
            }
            catch (Exception exception)
            {
                // Clients' writes come after it. What the others are not told they find.
                Failed(logger, exception.GetType().Name);
            }
        }
    }

    private void Publish()
    {
        PublishEntries();
        var batch = new List<KeyValuePair<Guid, long>>();
        foreach (var head in heads)
        {
            // Removed only as it was read: a newer head stays for the next round.
            if (heads.TryRemove(head))
                batch.Add(head);
        }

        if (batch.Count > 0)
            Send(BusMessage.Heads(node, batch));
        while (others.Reader.TryRead(out var message))
            Send(message);
    }

    private void PublishEntries()
    {
        var batch = new List<CommittedEntries>();
        var bytes = 0;
        while (committed.Reader.TryRead(out var next))
        {
            batch.Add(next);
            bytes += Weigh(next);
            if (bytes >= MaxMessageBytes)
                Flush();
        }

        Flush();

        void Flush()
        {
            if (batch.Count == 0)
                return;
            Interlocked.Add(ref committedBytes, -bytes);
            Send(BusMessage.Entries(node, seal.Seal(batch)));
            batch.Clear();
            bytes = 0;
        }
    }

    private void SetDue()
    {
        if (Interlocked.Exchange(ref isDue, 1) == 0 && !WriteBatch.TryHold(this, ahead: true))
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private static int Weigh(CommittedEntries committed) => committed.Entries.Sum(entry => 200 + (entry.Ciphertext?.Length ?? 0));

    [LoggerMessage(4203, LogLevel.Warning, "What was committed could not be told to other nodes; they will read it ({ExceptionType})")]
    private static partial void Failed(ILogger logger, string exceptionType);
}
