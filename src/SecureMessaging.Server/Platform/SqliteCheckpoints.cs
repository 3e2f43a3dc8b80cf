using Microsoft.Data.Sqlite;

namespace SecureMessaging.Server.Platform;

/// <summary>
/// When the log of a SQLite database (<c>-wal</c>) is copied into its file, and when it is emptied. The one policy for both, beside the writer:
/// </summary>
/// <remarks>
/// 1. What has been written is copied every two seconds (PASSIVE), which waits for nothing and keeps nothing waiting. So the file alone is never far behind.
/// 2. After a purge the log is emptied (TRUNCATE), because it still holds what was purged. That needs a moment without readers and without the writer, so the
/// writer is kept out, for <see cref="LongestStallMs"/> at most. When a reader outside the process is in the way, it is tried again until it is done, and
/// readiness says so.
/// </remarks>
internal sealed class SqliteCheckpoints : IAsyncDisposable
{
    private const int LongestStallMs = 150;
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(10);

    private readonly string path;
    private readonly SqliteConnection connection;
    private readonly SemaphoreSlim writer;
    private readonly SemaphoreSlim turn = new(1, 1);
    private readonly TimeProvider time;
    private readonly DatabaseTrouble trouble;
    private readonly CancellationTokenSource stopping = new();
    private readonly Task loop;
    private volatile bool written = true;
    private volatile bool emptyingDue;
    private long triedAt;

    /// <param name="path">The database file.</param>
    /// <param name="connection">One of its own, which is closed with this.</param>
    /// <param name="writer">Held while something is written.</param>
    /// <param name="time">Paces the turns.</param>
    /// <param name="trouble">Gets the readers that are in the way, for readiness and the log.</param>
    public SqliteCheckpoints(string path, SqliteConnection connection, SemaphoreSlim writer, TimeProvider time, DatabaseTrouble trouble)
    {
        (this.path, this.connection, this.writer, this.time, this.trouble) = (path, connection, writer, time, trouble);
        connection.Open();
        Execute($"pragma synchronous = full; pragma busy_timeout = {LongestStallMs};");
        loop = RunAsync();
    }

    /// <summary>Cheap: the next turn copies it.</summary>
    public void NoteWritten() => written = true;

    /// <summary>Empties the log now, or as soon as no reader is in the way.</summary>
    public async Task EmptyAsync(CancellationToken cancellationToken)
    {
        emptyingDue = true;
        await turn.WaitAsync(cancellationToken);
        try
        {
            await TryEmptyAsync(cancellationToken);
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
        using var timer = new PeriodicTimer(Period, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping.Token))
                await TurnAsync();
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The database is closed, which copies the rest.
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
                // What a reader keeps from being copied, or was written meanwhile, is copied in the next turn.
                written |= !Checkpoint("passive").IsWhole;
            }

            if (emptyingDue && time.GetElapsedTime(triedAt) >= Retry)
                await TryEmptyAsync(stopping.Token);
        }
        catch (Exception exception) when (!stopping.IsCancellationRequested)
        {
            // Whatever it is, the next turn tries again: without these turns nothing is copied or emptied any more.
            written = true;
            var failure = exception as SqliteException;
            trouble.Note(
                failure is null ? exception.GetType().Name : $"SQLite {failure.SqliteErrorCode}", exception.Message, failure is null ? null : SqliteDatabase.WhyNothingIsStored(failure));
        }
        finally
        {
            turn.Release();
        }
    }

    private async Task TryEmptyAsync(CancellationToken cancellationToken)
    {
        // Most of it is copied before the writer is kept out.
        Checkpoint("passive");
        await writer.WaitAsync(cancellationToken);
        try
        {
            triedAt = time.GetTimestamp();
            emptyingDue = Checkpoint("truncate").IsBusy;
        }
        finally
        {
            writer.Release();
        }

        trouble.NoteBlocked(
            emptyingDue
                ? $"A reader of {path} keeps the log of the database from being emptied: deleted content stays in the file with -wal until that reader ends"
                : null);
    }

    private Outcome Checkpoint(string mode)
    {
        using var command = connection.CreateCommand();
        command.CommandText = $"pragma wal_checkpoint({mode})";
        command.CommandTimeout = 1;
        using var row = command.ExecuteReader();
        row.Read();
        return new Outcome(row.GetInt32(0) != 0, row.GetInt32(1) == row.GetInt32(2));
    }

    private void Execute(string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    /// <param name="IsBusy">A reader or the writer was in the way.</param>
    /// <param name="IsWhole">All of the log is in the file.</param>
    private readonly record struct Outcome(bool IsBusy, bool IsWhole);
}
