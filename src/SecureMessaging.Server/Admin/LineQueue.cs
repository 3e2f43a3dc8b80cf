using System.Threading.Channels;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Admin;

/// <summary>Lines on their way to somebody who may be slow. Offering never waits: the queue is bounded, drops its oldest, and says how many.</summary>
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
            new BoundedChannelOptions(Capacity) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true }, _ => Interlocked.Increment(ref dropped));
    }

    public void Offer(LogLine line) => lines.Writer.TryWrite(line);

    public void Close() => lines.Writer.TryComplete();

    /// <summary>Waits for lines; false when there will be none any more.</summary>
    public ValueTask<bool> WaitAsync(CancellationToken cancellationToken) => lines.Reader.WaitToReadAsync(cancellationToken);

    /// <summary>As many lines as make one message, after one that says how many were dropped before them.</summary>
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
