using System.Diagnostics;
using System.Threading.Channels;
using Microsoft.Data.Sqlite;

namespace SecureMessaging.Server.Platform.Data;

/// <summary>
/// The checkpoint policy: when the log of a SQLite database (<c>-wal</c>) is copied into its file, and when deleted content is removed from both.
/// </summary>
/// <remarks>
/// 1. Every two seconds, or after <see cref="PagesToCopy"/> pages, new log content is copied (PASSIVE), which never waits and blocks nothing: the file
/// alone is at most a few seconds behind.
/// 2. SQLite writes the log from its start again only when all of it has been copied, and while writes follow each other there is no such moment. So from
/// <see cref="PagesToRestart"/> pages on the writer waits once for the copy of the few pages that it wrote during step 1: some milliseconds, because
/// the rest is on the disk before. SQLite itself flushes the file only at the end of a complete copy, and the writer would wait for all of it.
/// 3. With each run of the retention job the log is emptied (TRUNCATE), because it still contains deleted content. That needs a moment without readers
/// and without the writer, which waits for up to <see cref="LongestStallMs"/>. If a reader outside the process prevents it, it is retried, and readiness
/// reports it.
/// 4. Then the unused parts of pages are overwritten (<see cref="SqlitePageCleaner"/>), a few pages at a time, so that sends wait for some milliseconds
/// at most. The search for these pages takes at most a twentieth of the time: after 3 s of searching, the next search begins a minute later.
/// </remarks>
internal sealed class SqliteCheckpoints : IAsyncDisposable
{
    private const int LongestStallMs = 150;
    private const int PagesAtATime = 512;
    private const int PagesToCopy = 4096;
    private const int PagesToRestart = 12 * 1024;
    private const int PauseFactor = 20;
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(10);

    private readonly string path;
    private readonly SqliteConnection connection;
    private readonly SqliteFile file;
    private readonly SqlitePageCleaner cleaner;
    private readonly SemaphoreSlim writer;
    private readonly Action forgetPages;
    private readonly SemaphoreSlim turn = new(1, 1);
    private readonly TimeProvider time;
    private readonly DatabaseTrouble trouble;
    private readonly CancellationTokenSource stopping = new();
    private readonly Task loop;
    private readonly Channel<bool> wake = Channel.CreateBounded<bool>(1);
    private volatile bool written = true;
    private int pagesToCopy;
    private volatile bool forgettingDue;
    private bool cleaningDue = true;
    private TimeSpan pause;
    private long triedAt;
    private long cleanedAt;

    /// <param name="path">The file of the database.</param>
    /// <param name="connection">Not yet open, and only for this object.</param>
    /// <param name="writer">Held by the one who writes.</param>
    /// <param name="forgetPages">Empties the page cache of the writer's connection, which may contain what was overwritten. Called while no one writes.</param>
    /// <param name="time">The clock.</param>
    /// <param name="trouble">Where failures are reported.</param>
    public SqliteCheckpoints(
        string path, SqliteConnection connection, SemaphoreSlim writer, Action forgetPages, TimeProvider time, DatabaseTrouble trouble)
    {
        (this.path, this.connection, this.writer, this.forgetPages, this.time, this.trouble) = (path, connection, writer, forgetPages, time, trouble);
        connection.Open();
        Execute($"pragma synchronous = full; pragma busy_timeout = {LongestStallMs};");
        file = new SqliteFile(connection);
        cleaner = new SqlitePageCleaner(file);
        loop = RunAsync();
    }

    /// <summary>Cheap: leaves the work to the next turn. Called by the one who writes, with the number of pages written to the log.</summary>
    public void NoteWritten(int pages)
    {
        written = true;
        if ((pagesToCopy += pages) < PagesToCopy)
            return;
        pagesToCopy = 0;
        Wake();
    }

    /// <summary>Removes deleted content from the log and the file now, or as soon as no reader prevents it. Nothing to do after no write.</summary>
    public async Task ForgetAsync(CancellationToken cancellationToken)
    {
        await turn.WaitAsync(cancellationToken);
        try
        {
            if (new FileInfo($"{path}-wal") is { Exists: true, Length: > 0 })
                (forgettingDue, cleaningDue) = (true, true);
            if (forgettingDue || cleaningDue)
                await TryForgetAsync(cancellationToken);
        }
        finally
        {
            turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await loop;
        await connection.DisposeAsync();
        stopping.Dispose();
        turn.Dispose();
    }

    private async Task RunAsync()
    {
        await using var timer = time.CreateTimer(_ => Wake(), null, Period, Period);
        try
        {
            while (await wake.Reader.ReadAsync(stopping.Token))
                await TurnAsync();
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // Closing the database copies the rest.
        }
    }

    private async Task TurnAsync()
    {
        await turn.WaitAsync(stopping.Token);
        try
        {
            if (written)
            {
                written = false;
                var copied = Checkpoint("passive");
                if (copied.Pages >= PagesToRestart)
                    copied = await CopyRestAsync();
                // The next turn copies pages that a reader blocked or that were written meanwhile.
                written |= !copied.IsWhole;
            }

            if (forgettingDue && time.GetElapsedTime(triedAt) >= Retry)
                await TryForgetAsync(stopping.Token);
        }
        catch (Exception exception) when (!stopping.IsCancellationRequested)
        {
            // The loop survives every failure and retries: without it nothing is copied or emptied any more.
            written = true;
            var failure = exception as SqliteException;
            trouble.Note(
                failure is null ? exception.GetType().Name : $"SQLite {failure.SqliteErrorCode}",
                exception.Message,
                failure is null ? null : SqliteDatabase.WhyNothingIsStored(failure));
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Copies everything, so that the next write begins the log anew if no reader is in it.</summary>
    private async Task<Outcome> CopyRestAsync()
    {
        file.Flush();
        // What was written during the flush.
        Checkpoint("passive");
        await writer.WaitAsync(stopping.Token);
        try
        {
            return Checkpoint("passive");
        }
        finally
        {
            writer.Release();
        }
    }

    private async Task TryForgetAsync(CancellationToken cancellationToken)
    {
        var isDone = await TryEmptyAsync(null, cancellationToken)
            && (!cleaningDue || time.GetElapsedTime(cleanedAt) < pause || await TryCleanAsync(cancellationToken));
        forgettingDue = !isDone;
        trouble.NoteBlocked(
            isDone ? null
            : $"A reader of {path} keeps the log of the database from being emptied: deleted content stays in the database's files until that reader ends");
    }

    private async Task<bool> TryCleanAsync(CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        foreach (var pages in cleaner.Find(cancellationToken).Chunk(PagesAtATime))
        {
            if (!await TryEmptyAsync(pages, cancellationToken))
                return false;
        }

        (cleaningDue, cleanedAt, pause) = (false, time.GetTimestamp(), Stopwatch.GetElapsedTime(started) * PauseFactor);
        return true;
    }

    /// <summary>Empties the log, and cleans pages while it is empty. False: a reader or another writer prevents it.</summary>
    private async Task<bool> TryEmptyAsync(long[]? pages, CancellationToken cancellationToken)
    {
        // Copies most of it before the writer must wait.
        Checkpoint("passive");
        await writer.WaitAsync(cancellationToken);
        try
        {
            triedAt = time.GetTimestamp();
            return !Checkpoint("truncate").IsBusy && (pages is null || TryClean(pages));
        }
        finally
        {
            writer.Release();
        }
    }

    private bool TryClean(long[] pages)
    {
        try
        {
            // Also keeps away writers outside of the process. This transaction writes nothing.
            Execute("begin immediate");
        }
        catch (SqliteException exception) when (exception.SqliteErrorCode is 5 or 6)
        {
            return false;
        }

        try
        {
            if (new FileInfo($"{path}-wal").Length > 0)
                return false;
            cleaner.Clean(pages);
        }
        finally
        {
            Execute("rollback");
        }

        forgetPages();
        return true;
    }

    private void Wake() => wake.Writer.TryWrite(true);

    private Outcome Checkpoint(string mode)
    {
        using var command = connection.CreateCommand();
        command.CommandText = $"pragma wal_checkpoint({mode})";
        command.CommandTimeout = 1;
        using var row = command.ExecuteReader();
        row.Read();
        return new Outcome(row.GetInt32(0) != 0, row.GetInt32(1) == row.GetInt32(2), row.GetInt32(1));
    }

    private void Execute(string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.CommandTimeout = 1;
        command.ExecuteNonQuery();
    }

    /// <param name="IsBusy">A reader or the writer prevented it.</param>
    /// <param name="IsWhole">The whole log is in the file.</param>
    /// <param name="Pages">The pages of the log, copied or not.</param>
    private readonly record struct Outcome(bool IsBusy, bool IsWhole, int Pages);
}
