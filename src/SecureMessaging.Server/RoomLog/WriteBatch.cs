namespace SecureMessaging.Server.RoomLog;

/// <summary>
/// Socket writes that wait for the end of a batch, so that a client's ack and entries leave in one write. One thread at a time uses it, and passes it to
/// everything that may write.
/// </summary>
internal sealed class WriteBatch
{
    private readonly List<IThreadPoolWorkItem> held = [];

    /// <summary>Runs the write at the end of the batch, or before all others of the batch. It must not throw.</summary>
    public void Hold(IThreadPoolWorkItem write, bool ahead = false) => held.Insert(ahead ? 0 : held.Count, write);

    /// <summary>Runs the writes: at the end, and before the thread waits.</summary>
    public void Flush()
    {
        foreach (var write in held)
            write.Execute();
        held.Clear();
    }
}

/// <summary>A connection's output that can wait for the end of a batch.</summary>
internal interface IBatchedOutput
{
    /// <summary>Keeps everything that is written from now on until the end of the batch.</summary>
    void Hold(WriteBatch writes);
}
