using System.Collections.Concurrent;
using System.Threading.Channels;
using SecureMessaging.Server.RoomLog;
using StackExchange.Redis;

namespace SecureMessaging.Server.Cluster;

/// <summary>
/// Buffers messages for the other nodes and publishes them. The thread that writes to the clients of a batch publishes its entries just before, so no other
/// thread must wake up.
/// </summary>
/// <remarks>
/// Callers never wait, and every buffer is bounded. The library's buffer is not: after 16 MiB without an answered ping the publisher buffers here. Entries
/// that do not fit are replaced by the head of their room.
/// </remarks>
internal sealed partial class BusPublisher(Guid node, BusSeal seal, RedisChannel channel, ILogger logger) : IThreadPoolWorkItem
{
    private const int MaxQueued = 10_000;

    /// <summary>Bytes of entries that wait at most, and that one message holds.</summary>
    private const int MaxQueuedBytes = 4 * 1024 * 1024;
    private const int MaxMessageBytes = 128 * 1024;

    /// <summary>Bytes in flight without an answered ping: what a busy node publishes in a second.</summary>
    private const int MaxUnansweredBytes = 16 * 1024 * 1024;

    private readonly ConcurrentDictionary<Guid, long> heads = new();
    private readonly Channel<byte[]> others = Channel.CreateBounded<byte[]>(
        new BoundedChannelOptions(MaxQueued) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Channel<CommittedEntries> committed = Channel.CreateBounded<CommittedEntries>(new BoundedChannelOptions(MaxQueued));
    private readonly Lock publishing = new();
    private volatile ISubscriber? redis;
    private long committedBytes;
    private long unansweredBytes;
    private int isDue;

    /// <summary>Begins to publish.</summary>
    public void Open(ISubscriber subscriber) => redis = subscriber;

    /// <summary>Ends publishing. Afterwards no thread uses the seal.</summary>
    public void Close()
    {
        lock (publishing)
            redis = null;
    }

    public void Add(CommittedEntries entries, WriteBatch? writes)
    {
        var bytes = Weigh(entries);
        if (Interlocked.Add(ref committedBytes, bytes) > MaxQueuedBytes || !committed.Writer.TryWrite(entries))
        {
            Interlocked.Add(ref committedBytes, -bytes);
            AddHead(entries.RoomId, entries.Entries[^1].Seq);
        }

        SetDue(writes);
    }

    /// <summary>Publishes the newest sequence number of a room.</summary>
    public void AddHead(Guid roomId, long seq)
    {
        heads.AddOrUpdate(roomId, static (_, seq) => seq, static (_, earlier, seq) => Math.Max(earlier, seq), seq);
        SetDue();
    }

    /// <summary>Drops the message when the buffer is full.</summary>
    public void Add(byte[] message)
    {
        others.Writer.TryWrite(message);
        SetDue();
    }

    /// <summary>Drops all buffers. When Redis is back, every node reads the database.</summary>
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

    /// <summary>Publishes before everything that waits.</summary>
    public void Send(byte[] message)
    {
        if (redis is not { } subscriber)
            return;
        Interlocked.Add(ref unansweredBytes, message.Length);
        try
        {
            subscriber.Publish(channel, message, CommandFlags.FireAndForget);
        }
        catch (Exception exception) when (exception is RedisException or ObjectDisposedException or TimeoutException)
        {
            // Redis is away. Missing pings show it, and the reconciler takes over.
        }
    }

    /// <summary>A ping of this node has come back, so all that was published before it has arrived.</summary>
    public void NotePing()
    {
        if (Interlocked.Exchange(ref unansweredBytes, 0) > MaxUnansweredBytes)
            SetDue();
    }

    void IThreadPoolWorkItem.Execute()
    {
        lock (publishing)
        {
            // First, so that messages added during this run cause another run.
            Interlocked.Exchange(ref isDue, 0);
            if (redis is null || Interlocked.Read(ref unansweredBytes) > MaxUnansweredBytes)
                return;
            try
            {
                Publish();
            }
            catch (Exception exception)
            {
                // The writes to clients come next and must not fail. The other nodes read what is missing.
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
            // Only this value is removed: a newer head stays for the next run.
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

    private void SetDue(WriteBatch? writes = null)
    {
        if (Interlocked.Exchange(ref isDue, 1) != 0)
            return;
        if (writes is not null)
            writes.Hold(this, ahead: true);
        else
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private static int Weigh(CommittedEntries committed) => committed.Entries.Sum(entry => 200 + (entry.Ciphertext?.Length ?? 0));

    [LoggerMessage(4203, LogLevel.Warning, "Committed entries could not be published; the other nodes read them from the database ({ExceptionType})")]
    private static partial void Failed(ILogger logger, string exceptionType);
}
