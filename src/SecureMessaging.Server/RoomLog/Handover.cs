namespace SecureMessaging.Server.RoomLog;

/// <summary>
/// Runs pieces of work one after the other on other threads, at most one ahead: <see cref="Give"/> waits while the piece before runs. Work that no thread
/// starts within 20 ms runs on the calling thread.
/// </summary>
/// <param name="others">Runs the work item on another thread, with no bound on when.</param>
internal sealed class Handover(Action<IThreadPoolWorkItem> others) : IThreadPoolWorkItem
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(20);
    private readonly object gate = new();
    private Action? given;
    private bool isRunning;

    /// <summary>Gives a piece of work, which must not throw, to the other threads.</summary>
    public void Give(Action work)
    {
        Settle();
        lock (gate)
            given = work;
        others(this);
    }

    /// <summary>Returns when everything that was given has run.</summary>
    public void Settle()
    {
        lock (gate)
        {
            if (given is not null)
                Monitor.Wait(gate, Patience);
        }

        Execute();
        lock (gate)
        {
            while (isRunning)
                Monitor.Wait(gate);
        }
    }

    public void Execute()
    {
        Action work;
        lock (gate)
        {
            if (given is null)
                return;
            (work, given, isRunning) = (given, null, true);
        }

        try
        {
            work();
        }
        finally
        {
            lock (gate)
            {
                isRunning = false;
                Monitor.PulseAll(gate);
            }
        }
    }
}
