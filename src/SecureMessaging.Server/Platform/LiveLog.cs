using System.Threading.Channels;
using Serilog.Core;
using Serilog.Events;

namespace SecureMessaging.Server.Platform;

/// <summary>
/// A tap on this node's log. While nobody watches it costs one read of a flag; while somebody does, events wait in a bounded queue whose oldest are dropped
/// and counted. Whoever logs never waits.
/// </summary>
internal sealed class LiveLog : ILogEventSink
{
    private const int Capacity = 4096;
    private readonly Channel<LogEvent> queue;
    private long dropped;
    private volatile bool watched;

    public LiveLog() => queue = Channel.CreateBounded<LogEvent>(
        new BoundedChannelOptions(Capacity) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true }, _ => Interlocked.Increment(ref dropped));

    public bool IsWatched
    {
        get => watched;
        set => watched = value;
    }

    public ChannelReader<LogEvent> Events => queue.Reader;

    public void Emit(LogEvent logEvent)
    {
        if (watched)
            queue.Writer.TryWrite(logEvent);
    }

    /// <summary>How many were dropped since the last call.</summary>
    public long TakeDropped() => Interlocked.Exchange(ref dropped, 0);
}
