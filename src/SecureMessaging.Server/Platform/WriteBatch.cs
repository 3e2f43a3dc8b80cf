namespace SecureMessaging.Server.Platform;

/// <summary>
/// Writes that one thread sets off while it handles a batch, and that leave when it is through. So a client's ack and the entries of its rooms, which come from
/// different places, go in one write.
/// </summary>
internal static class WriteBatch
{
    [ThreadStatic]
    private static List<IThreadPoolWorkItem>? held;
    [ThreadStatic]
    private static bool isOpen;

    /// <summary>Runs the work, then the writes that it has set off, or has them run by others.</summary>
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

    /// <summary>Carries out what has been set off so far: before the thread waits for something else.</summary>
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

    /// <summary>Keeps the write for the end of this thread's batch; false when there is none. The write must not throw.</summary>
    /// <param name="write">What to carry out.</param>
    /// <param name="ahead">Whether before all that is kept already.</param>
    public static bool TryHold(IThreadPoolWorkItem write, bool ahead = false)
    {
        if (!isOpen)
            return false;
        held ??= [];
        held.Insert(ahead ? 0 : held.Count, write);
        return true;
    }
}
