using System.Data;
using System.Data.Common;
using System.Runtime.InteropServices;
using DbUp;
using Microsoft.Data.Sqlite;

namespace SecureMessaging.Server.Platform.Data;

/// <summary>SQLite in a file of the data directory: the engine without another service. One process owns the file.</summary>
internal sealed class SqliteDatabase(string path, DataDirectoryLock? ownership = null, TimeProvider? time = null, DatabaseTrouble? trouble = null)
    : Database(SqliteFactory.Instance.CreateDataSource(ConnectionString(path)), trouble)
{
    /// <summary>SQLITE_FCNTL_HAS_MOVED: whether the open file is no longer the one at its path.</summary>
    private const int HasMovedOperation = 20;

    private const string ReaderSettings = "pragma synchronous = full; pragma secure_delete = on; pragma busy_timeout = 4000;";

    /// <summary>SQLITE_DBSTATUS_CACHE_WRITE: pages that the connection has written, which in this journal mode is to the log.</summary>
    private const int PagesWrittenStatus = 9;

    // An append touches a few pages per room. With the default cache every batch would read them again; this one is 32 MiB. SqliteCheckpoints copies the
    // log outside the writer. The writer copies it only beyond 256 MiB (65536 pages of 4 KiB): when SqliteCheckpoints has failed.
    private const string WriterSettings = "pragma cache_size = -32768; pragma wal_autocheckpoint = 65536;";

    // SQLite has one writer at a time. This queue is fair and does not poll, unlike SQLite's busy handler.
    private readonly SemaphoreSlim writer = new(1, 1);

    // The writer's connection stays open: no other connection changes the file, so its page cache stays valid and its statements stay prepared.
    private DbConnection? kept;

    private SqliteCheckpoints? checkpoints;

    public override bool IsPostgres => false;

    public override bool IsUniqueViolation(Exception exception) => exception is SqliteException { SqliteExtendedErrorCode: 2067 or 1555 };

    // 18 too big, 20 mismatch, 25 out of range, 275 check, 1299 not null, 1811 trigger. A duplicate key depends on other rows, so it is not among
    // them.
    public override bool IsRefusalOfValues(Exception exception) =>
        exception is SqliteException { SqliteErrorCode: 18 or 20 or 25 } or SqliteException { SqliteExtendedErrorCode: 275 or 1299 or 1811 };

    // 5 busy, 6 locked, 8 read-only, 10 I/O error, 11 corrupt, 13 disk full, 14 cannot open, 26 not a database.
    protected override bool IsOutage(Exception exception) =>
        exception is FileMovedException or SqliteException { SqliteErrorCode: 5 or 6 or 8 or 10 or 11 or 13 or 14 or 26 };

    protected override string? WhyUnwritable(Exception exception) => exception switch
    {
        FileMovedException => DatabaseTrouble.Moved,
        SqliteException failure => WhyNothingIsStored(failure),
        _ => null,
    };

    public static string? WhyNothingIsStored(SqliteException failure) => failure.SqliteErrorCode switch
    {
        13 => DatabaseTrouble.DiskFull,
        8 => DatabaseTrouble.ReadOnly,
        11 or 26 => DatabaseTrouble.Damaged,
        _ => null,
    };

    protected override (string Cause, string Text) Describe(Exception exception) =>
        exception is SqliteException failure ? ($"SQLite {failure.SqliteErrorCode}", failure.Message) : base.Describe(exception);

    // One process owns the file.
    public override Task<bool> TryLockAsync(DbTransaction transaction, long key, CancellationToken cancellationToken) => Task.FromResult(true);

    public override string AnyOf(string parameter) => $"in (select unhex(value) from json_each(@{parameter}))";

    public override object ListOf(IEnumerable<Guid> ids) => ListOf(ids.Select(id => id.ToByteArray(bigEndian: true)));

    // Hexadecimal digits need no escaping.
    public override object ListOf(IEnumerable<byte[]> values) => $"[{string.Join(',', values.Select(value => $"\"{Convert.ToHexString(value)}\""))}]";

    public override string RowsOf(string parameter) =>
        $"(select unhex(value ->> 0) as id, value ->> 1 as number, key as nth from json_each(@{parameter})) as listed";

    public override Task ForgetDeletedAsync(CancellationToken cancellationToken) => checkpoints?.ForgetAsync(cancellationToken) ?? Task.CompletedTask;

    public override void Migrate(ILogger logger)
    {
        try
        {
            Open(logger);
        }
        catch (SqliteException exception)
        {
            throw new StartException($"The database {path} cannot be used: {exception.Message}", exception);
        }
    }

    private void Open(ILogger logger)
    {
        using (var connection = new SqliteConnection(ConnectionString(path, SqliteOpenMode.ReadWriteCreate)))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            // Deleted content must not stay in free pages, and readers must not block the writer.
            command.CommandText = "pragma journal_mode = wal; pragma secure_delete = on;";
            command.ExecuteNonQuery();
        }

        MigrationRunner.Run(DeployChanges.To.SqliteDatabase(ConnectionString(path)), "sqlite/", logger);
        checkpoints = new SqliteCheckpoints(
            path, new SqliteConnection(ConnectionString(path, pooling: false)), writer, ForgetPages, time ?? TimeProvider.System, Trouble);
    }

    public override async Task<T> WriteAsync<T>(Func<DbTransaction, Task<T>> write, CancellationToken cancellationToken)
    {
        await writer.WaitAsync(cancellationToken);
        try
        {
            kept ??= await OpenToWriteAsync(cancellationToken);
            var result = await TransactAsync(kept, write, cancellationToken);
            // A write to a file that no restart will open must not be acknowledged.
            if (HasMoved(kept))
                throw new FileMovedException();
            checkpoints?.NoteWritten(TakePagesWritten(kept));
            Trouble.NoteWritten();
            return result;
        }
        catch (Exception exception) when (exception is not ApiException)
        {
            // After FileMovedException the connection stays: the file may come back, and a new connection would write to another file in its place
            // unnoticed.
            if (exception is not FileMovedException)
                await CloseKeptAsync();
            if (IsOutage(exception, cancellationToken))
                throw Outage(exception);
            throw;
        }
        finally
        {
            writer.Release();
        }
    }

    protected override async ValueTask<DbConnection> OpenAsync(CancellationToken cancellationToken)
    {
        var connection = await base.OpenAsync(cancellationToken);
        Prepare(connection, ReaderSettings);
        return connection;
    }

    /// <summary>Not pooled: it must not be reused after an I/O error, and no reader needs its 32 MiB of cache.</summary>
    private async Task<DbConnection> OpenToWriteAsync(CancellationToken cancellationToken)
    {
        var connection = new SqliteConnection(ConnectionString(path, pooling: false));
        await connection.OpenAsync(cancellationToken);
        Prepare(connection, ReaderSettings + WriterSettings);
        return connection;
    }

    private static void Prepare(DbConnection connection, string settings)
    {
        using var command = connection.CreateCommand();
        command.CommandText = settings;
        command.ExecuteNonQuery();
    }

    /// <summary>Since the call before.</summary>
    private static int TakePagesWritten(DbConnection connection)
    {
        SQLitePCL.raw.sqlite3_db_status(((SqliteConnection)connection).Handle, PagesWrittenStatus, out var pages, out _, resetFlg: 1);
        return pages;
    }

    private void ForgetPages()
    {
        if (kept is { } connection)
            Prepare(connection, "pragma shrink_memory");
    }

    private async ValueTask CloseKeptAsync()
    {
        if (kept is { } connection)
        {
            kept = null;
            await connection.DisposeAsync();
        }
    }

    protected override ValueTask<DbTransaction> BeginAsync(DbConnection connection, CancellationToken cancellationToken) =>
        ValueTask.FromResult<DbTransaction>(((SqliteConnection)connection).BeginTransaction(IsolationLevel.Serializable, deferred: false));

    public override async ValueTask DisposeAsync()
    {
        if (checkpoints is not null)
            await checkpoints.DisposeAsync();
        await CloseKeptAsync();
        await base.DisposeAsync();
        SqliteConnection.ClearPool(new SqliteConnection(ConnectionString(path)));
        writer.Dispose();
        ownership?.Dispose();
    }

    /// <summary>Only the start creates the file. A file that is removed later is a failure, which a new empty file would hide.</summary>
    private static string ConnectionString(string path, SqliteOpenMode mode = SqliteOpenMode.ReadWrite, bool pooling = true) =>
        new SqliteConnectionStringBuilder { DataSource = path, Mode = mode, ForeignKeys = true, Pooling = pooling, Cache = SqliteCacheMode.Private }.ToString();

    /// <summary>Costs one stat. False where the engine does not support the operation, as on Windows, where an open file cannot be moved.</summary>
    private static bool HasMoved(DbConnection connection)
    {
        var moved = 0;
        return connection is SqliteConnection { Handle: { } handle } && FileControl(handle, null, HasMovedOperation, ref moved) == 0 && moved != 0;
    }

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_file_control", BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static extern int FileControl(SQLitePCL.sqlite3 database, [MarshalAs(UnmanagedType.LPUTF8Str)] string? name, int operation, ref int result);

    private sealed class FileMovedException() : IOException("the file of the database was moved, removed or replaced");
}
