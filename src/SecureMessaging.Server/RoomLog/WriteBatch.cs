namespace SecureMessaging.Server.RoomLog;

/// <summary>
/// Collects the socket writes that one thread causes while it handles a batch, so that a client's ack and entries leave in one write.
/// </summary>
internal static class WriteBatch
{
    [ThreadStatic]
    private static List<IThreadPoolWorkItem>? held;
    [ThreadStatic]
    private static bool isOpen;

    /// <summary>Runs the work, then the writes that it caused: on this thread, or through <paramref name="others"/>.</summary>
    public static void Run(Action work, WriteHandover? others = null)
    {
        var isOutermost = !isOpen;
        isOpen = true;
        try
        {
            work();
        }
        finally
        {
            if (isOutermost)
            {
                isOpen = false;
                if (others is not null && held is { Count: > 0 } writes)
                    held = others.Exchange(writes);
                else
                    Flush();
            }
        }
    }

    /// <summary>Runs the collected writes now: required before the thread waits.</summary>
    public static void Flush()
    {
        if (held is not { Count: > 0 } writes)
            return;
        held = null;
        foreach (var write in writes)
            write.Execute();
        writes.Clear();
        held ??= writes;
    }

    /// <summary>Holds the write until the end of this thread's batch, optionally before all others; false outside a batch. It must not throw.</summary>
    public static bool TryHold(IThreadPoolWorkItem write, bool ahead = false)
    {
        if (!isOpen)
            return false;
        held ??= [];
        held.Insert(ahead ? 0 : held.Count, write);
        return true;
    }
}
