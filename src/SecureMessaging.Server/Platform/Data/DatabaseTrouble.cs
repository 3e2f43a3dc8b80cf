
namespace SecureMessaging.Server.Platform.Data;

/// <summary>
/// Failures of the database: one log line per cause and minute, whatever the number of failed requests, and a sentence for readiness.
/// </summary>
internal sealed partial class DatabaseTrouble(TimeProvider time, ILogger<DatabaseTrouble> logger)
{
    public const string DiskFull = "The disk of the database is full: nothing can be stored until there is room.";

    public const string ReadOnly = "The database is read-only: nothing can be stored.";

    public const string Damaged = "The file of the database is damaged: stop the server and restore a backup.";

    public const string Moved =
        "The file of the database was moved, removed or replaced while the server runs: "
        + "nothing can be stored until it is back in its place or the server has been restarted.";

    /// <summary>After a failed large write a small one may still succeed.</summary>
    private static readonly TimeSpan UnwritableAtLeast = TimeSpan.FromSeconds(10);

    private readonly OncePerMinute lines = new(time);
    private volatile string? unwritable;
    private long unwritableAt;
    private volatile string? blocked;

    /// <summary>Why nothing can be stored although the database answers. Null after a successful write.</summary>
    public string? Unwritable => unwritable;

    /// <summary>The reason why deleted content stays in the database's log.</summary>
    public string? Blocked => blocked;

    public void Note(string cause, string text, string? why)
    {
        if (why is not null)
        {
            Interlocked.Exchange(ref unwritableAt, time.GetTimestamp());
            unwritable = why;
        }

        if (!lines.Allows(cause, out var others))
            return;
        if (why == DiskFull)
            DiskIsFull(logger, text, others);
        else if (why is not null)
            NothingStored(logger, text, others);
        else
            Away(logger, text, others);
    }

    public void NoteWritten()
    {
        if (unwritable is null || time.GetElapsedTime(Interlocked.Read(ref unwritableAt)) < UnwritableAtLeast)
            return;
        unwritable = null;
        Writes(logger);
    }

    /// <param name="by">Null when it is no longer blocked.</param>
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

    [LoggerMessage(1010, LogLevel.Error, "The database does not answer: {Cause:l}; {Count} more failures since the last such line")]
    private static partial void Away(ILogger logger, string cause, int count);

    [LoggerMessage(1011, LogLevel.Error, "The disk of the database is full: {Cause:l}; {Count} more failures since the last such line")]
    private static partial void DiskIsFull(ILogger logger, string cause, int count);

    [LoggerMessage(1015, LogLevel.Error, "Nothing can be stored: {Cause:l}; {Count} more failures since the last such line")]
    private static partial void NothingStored(ILogger logger, string cause, int count);

    [LoggerMessage(1012, LogLevel.Information, "The database stores again")]
    private static partial void Writes(ILogger logger);

    [LoggerMessage(1013, LogLevel.Warning, "{Cause:l}")]
    private static partial void LogBlocked(ILogger logger, string cause);

    [LoggerMessage(1014, LogLevel.Information, "The log of the database is emptied again")]
    private static partial void LogFree(ILogger logger);
}
