namespace SecureMessaging.Server.RoomLog;

/// <summary>
/// Runs a thread's writes on other threads, at most one batch ahead: <see cref="Exchange"/> waits while the previous writes run. Meanwhile more sends
/// gather for the next batch. Writes that no thread starts within 20 ms run on the calling thread.
/// </summary>
/// <param name="others">Runs the work item on another thread, with no bound on when.</param>
internal sealed class WriteHandover(Action<IThreadPoolWorkItem> others) : IThreadPoolWorkItem
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(20);
    private readonly object gate = new();
    private List<IThreadPoolWorkItem> writes = [];
    private bool isWaiting;
    private bool isRunning;

    /// <summary>Takes the writes and returns an empty list for the next ones.</summary>
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
