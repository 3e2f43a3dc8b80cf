namespace SecureMessaging.Server.Platform;

/// <summary>What is wrong with the database: one log line for each cause in a minute, however many requests fail of it, and a sentence for readiness.</summary>
internal sealed partial class DatabaseTrouble(TimeProvider time, ILogger<DatabaseTrouble> logger)
{
    /// <summary>A small write may still find room when a large one did not.</summary>
    private static readonly TimeSpan FullAtLeast = TimeSpan.FromSeconds(10);

    private readonly OncePerMinute lines = new(time);
    private volatile string? full;
    private long fullAt;
    private volatile string? blocked;

    /// <summary>Why nothing can be written although reading works; until a write succeeds again.</summary>
    public string? Full => full;

    /// <summary>What keeps deleted content from leaving the log of the database.</summary>
    public string? Blocked => blocked;

    /// <param name="cause">One of the engine's error codes.</param>
    /// <param name="text">What the engine or its driver says, which holds no stored values.</param>
    /// <param name="diskFull">Whether it has no room to write.</param>
    public void Note(string cause, string text, bool diskFull)
    {
        if (diskFull)
        {
            Interlocked.Exchange(ref fullAt, time.GetTimestamp());
            full = "The disk of the database is full: nothing can be stored until there is room.";
        }

        if (!lines.Allows(cause, out var others))
            return;
        if (diskFull)
            DiskFull(logger, text, others);
        else
            Away(logger, text, others);
    }

    public void NoteWritten()
    {
        if (full is null || time.GetElapsedTime(Interlocked.Read(ref fullAt)) < FullAtLeast)
            return;
        full = null;
        Writes(logger);
    }

    /// <param name="by">Null when it is blocked no longer.</param>
    public void NoteBlocked(string? by)
    {
        if (blocked == by)
            return;
        blocked = by;
        if (by is not null)
            LogBlocked(logger, by);
        else
            LogFree(logger);
    }

    [LoggerMessage(1010, LogLevel.Error, "The database does not answer: {Cause:l} ({Count} more since the last such line)")]
    private static partial void Away(ILogger logger, string cause, int count);

    [LoggerMessage(1011, LogLevel.Error, "The disk of the database is full: {Cause:l} ({Count} more since the last such line)")]
    private static partial void DiskFull(ILogger logger, string cause, int count);

    [LoggerMessage(1012, LogLevel.Information, "The database writes again")]
    private static partial void Writes(ILogger logger);

    [LoggerMessage(1013, LogLevel.Warning, "{Cause:l}")]
    private static partial void LogBlocked(ILogger logger, string cause);

    [LoggerMessage(1014, LogLevel.Information, "The log of the database is emptied again")]
    private static partial void LogFree(ILogger logger);
}
