using System.Threading.Channels;
using Serilog.Core;
using Serilog.Events;

namespace SecureMessaging.Server.Platform.Diagnostics;

/// <summary>
/// Copies this node's log events while an administrator watches any node. Without a watcher it costs one read of a flag. The copies wait in a bounded
/// queue. A full queue drops its oldest events and counts them, so logging never waits.
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

    public long TakeDropped() => Interlocked.Exchange(ref dropped, 0);
}
