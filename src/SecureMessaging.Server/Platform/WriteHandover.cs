namespace SecureMessaging.Server.Platform;

/// <summary>
/// Lets a thread leave writes to others and go on. It waits when those that it left before are being carried out: one batch ahead of its clients is enough for
/// neither to wait for the other, and meanwhile more gathers for the next. What nobody begins with in a while it carries out itself.
/// </summary>
/// <param name="others">Has somebody execute what it is given, sooner or later.</param>
internal sealed class WriteHandover(Action<IThreadPoolWorkItem> others) : IThreadPoolWorkItem
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(20);
    private readonly object gate = new();
    private List<IThreadPoolWorkItem> writes = [];
    private bool isWaiting;
    private bool isRunning;

    /// <summary>Takes the writes and gives an empty list in exchange.</summary>
    public List<IThreadPoolWorkItem> Exchange(List<IThreadPoolWorkItem> next)
    {
        lock (gate)
        {
            if (isWaiting)
                Monitor.Wait(gate, Patience);
        }

        Execute();
        lock (gate)
        {
            while (isRunning)
                Monitor.Wait(gate);
            (writes, next) = (next, writes);
            isWaiting = true;
        }

        others(this);
        return next;
    }

    /// <summary>Carries out what waits, if somebody else has not.</summary>
    public void Execute()
    {
        lock (gate)
        {
            if (!isWaiting)
                return;
            (isWaiting, isRunning) = (false, true);
        }

        foreach (var write in writes)
            write.Execute();
        writes.Clear();
        lock (gate)
        {
            isRunning = false;
            Monitor.PulseAll(gate);
        }
    }
}
