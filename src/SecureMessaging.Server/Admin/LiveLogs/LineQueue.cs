using System.Threading.Channels;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Admin.LiveLogs;

/// <summary>Lines that wait for a slow receiver. <see cref="Offer"/> never waits: a full queue drops its oldest lines and counts them.</summary>
internal sealed class LineQueue
{
    private const int Capacity = 2048;
    private const int LinesInMessage = 200;

    private readonly string node;
    private readonly TimeProvider time;
    private readonly Channel<LogLine> lines;
    private long dropped;

    public LineQueue(string node, TimeProvider time)
    {
        (this.node, this.time) = (node, time);
        lines = Channel.CreateBounded<LogLine>(
            new BoundedChannelOptions(Capacity) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true },
            line => Interlocked.Add(ref dropped, LogLines.Count(line)));
    }

    public void Offer(LogLine line) => lines.Writer.TryWrite(line);

    public void Close() => lines.Writer.TryComplete();

    /// <summary>Waits for lines. False after the queue is closed and empty.</summary>
    public ValueTask<bool> WaitAsync(CancellationToken cancellationToken) => lines.Reader.WaitToReadAsync(cancellationToken);

    /// <summary>The lines of one message. The first reports how many were dropped before them.</summary>
    public LogLine[] Take()
    {
        var taken = new List<LogLine>();
        if (Interlocked.Exchange(ref dropped, 0) is > 0 and var count)
            taken.Add(LogLines.Dropped(node, time.GetUtcNow().UtcDateTime, count));
        while (taken.Count < LinesInMessage && lines.Reader.TryRead(out var line))
            taken.Add(line);
        return [.. taken];
    }
}
