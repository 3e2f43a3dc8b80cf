using System.Data;
using System.Data.Common;
using System.Globalization;
using Dapper;
using Microsoft.Extensions.Logging.Abstractions;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Platform.Data;

/// <summary>
/// The database of every store: SQLite or Postgres. Stores write portable SQL and ask <see cref="IsPostgres"/> only where the engines differ.
/// </summary>
/// <remarks>The delegate of <see cref="WriteAsync{T}"/> is one transaction. It must be repeatable: after a deadlock it runs again.</remarks>
internal abstract class Database(DbDataSource source, DatabaseTrouble? trouble) : IAsyncDisposable
{
    /// <summary>Bounds every statement, so that an outage does not exhaust the connection pool (hazard: pool exhaustion).</summary>
    public const int CommandTimeoutSeconds = 4;

    private const int MaxAttempts = 4;

    protected DbDataSource Source { get; } = source;

    public abstract bool IsPostgres { get; }

    public DatabaseTrouble Trouble { get; } = trouble ?? new DatabaseTrouble(TimeProvider.System, NullLogger<DatabaseTrouble>.Instance);

    public abstract void Migrate(ILogger logger);

    public async Task<T> ReadAsync<T>(Func<DbConnection, Task<T>> read, CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await OpenAsync(cancellationToken);
            return await read(connection);
        }
        catch (Exception exception) when (IsOutage(exception, cancellationToken))
        {
            throw Outage(exception);
        }
    }

    /// <summary>Runs one statement or one batch, which is its own transaction, on a thread that may block.</summary>
    public T Run<T>(Func<DbConnection, T> run)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                using var connection = Open();
                return run(connection);
            }
            catch (Exception exception) when (attempt < MaxAttempts && IsConflict(exception))
            {
                // As in WriteAsync.
            }
            catch (Exception exception) when (IsOutage(exception, CancellationToken.None))
            {
                throw Outage(exception);
            }
        }
    }

    public virtual async Task<T> WriteAsync<T>(Func<DbTransaction, Task<T>> write, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await using var connection = await OpenAsync(cancellationToken);
                var result = await TransactAsync(connection, write, cancellationToken);
                Trouble.NoteWritten();
                return result;
            }
            catch (Exception exception) when (attempt < MaxAttempts && IsConflict(exception))
            {
                // The database rolled back in favour of another transaction. The next attempt is a new transaction.
            }
            catch (Exception exception) when (IsOutage(exception, cancellationToken))
            {
                throw Outage(exception);
            }
        }
    }

    public Task WriteAsync(Func<DbTransaction, Task> write, CancellationToken cancellationToken) =>
        WriteAsync(
            async transaction =>
            {
                await write(transaction);
                return 0;
            },
            cancellationToken);

    public Task<int> ExecuteAsync(string sql, object? parameters, CancellationToken cancellationToken) =>
        WriteAsync(transaction => transaction.ExecuteAsync(sql, parameters, cancellationToken), cancellationToken);

    /// <summary>
    /// Repeats a statement that changes up to <paramref name="batch"/> rows until it changes fewer. Each run is its own transaction, so that locks are short.
    /// Returns the number of changed rows.
    /// </summary>
    public async Task<int> ExecuteInBatchesAsync(string sql, object parameters, int batch, CancellationToken cancellationToken)
    {
        for (var total = 0; ;)
        {
            var changed = await ExecuteAsync(sql, parameters, cancellationToken);
            total += changed;
            if (changed < batch)
                return total;
        }
    }

    public abstract bool IsUniqueViolation(Exception exception);

    /// <summary>Whether the database rejected the values, so that the same statement with the same values always fails.</summary>
    public abstract bool IsRefusalOfValues(Exception exception);

    /// <summary>Takes a lock that one transaction of all nodes can hold, until it ends; false at once if another holds it.</summary>
    public abstract Task<bool> TryLockAsync(DbTransaction transaction, long key, CancellationToken cancellationToken);

    /// <summary>
    /// A condition: the column is in a list from <see cref="ListOf(IEnumerable{Guid})"/>. Npgsql takes arrays, Microsoft.Data.Sqlite does not.
    /// </summary>
    public abstract string AnyOf(string parameter);

    /// <summary>The parameter value of a list for <see cref="AnyOf"/>, in <see cref="DynamicParameters"/>.</summary>
    public abstract object ListOf(IEnumerable<Guid> ids);

    /// <inheritdoc cref="ListOf(IEnumerable{Guid})"/>
    public abstract object ListOf(IEnumerable<byte[]> values);

    /// <summary>An item of a FROM clause: the rows of a list from <see cref="RowList"/>, with the columns id, number, and nth from 0.</summary>
    public abstract string RowsOf(string parameter);

    /// <summary>The parameter value of a list for <see cref="RowsOf"/>. Hexadecimal digits and numbers need no escaping.</summary>
    public static string RowList(IEnumerable<(Guid? Id, int? Number)> rows) => $"[{string.Join(',', rows.Select(row =>
    {
        var id = row.Id is { } given ? $"\"{Convert.ToHexString(given.ToByteArray(bigEndian: true))}\"" : "null";
        return $"[{id},{row.Number?.ToString(CultureInfo.InvariantCulture) ?? "null"}]";
    }))}]";

    public async Task ProbeAsync(CancellationToken cancellationToken)
    {
        if (Trouble.Unwritable is not null)
            await ExecuteAsync("update installation set id = 1 where id = 1", null, cancellationToken);
        else
            await ReadAsync(connection => connection.QuerySingleAsync<int>("select id from installation", null, cancellationToken), cancellationToken);
    }

    /// <summary>Removes deleted content from the engine's own files, if the engine keeps it there.</summary>
    public virtual Task ForgetDeletedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Writes all tables into new files and deletes the old ones, if the engine does not overwrite deleted content.</summary>
    public virtual Task RewriteAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Whether the transaction lost a conflict and may run again (deadlock, serialisation failure).</summary>
    protected virtual bool IsConflict(Exception exception) => false;

    protected abstract bool IsOutage(Exception exception);

    /// <summary>A sentence of <see cref="DatabaseTrouble"/> if the database answers but cannot store anything.</summary>
    protected abstract string? WhyUnwritable(Exception exception);

    /// <summary>One of a few causes, and the engine's message. Neither contains stored values.</summary>
    protected virtual (string Cause, string Text) Describe(Exception exception) => exception is TimeoutException or OperationCanceledException
        ? ("timeout", $"no answer within {CommandTimeoutSeconds} s")
        : (exception.GetType().Name, exception.Message);

    protected virtual DbConnection Open() => Source.OpenConnection();

    protected virtual ValueTask<DbConnection> OpenAsync(CancellationToken cancellationToken) => Source.OpenConnectionAsync(cancellationToken);

    protected async Task<T> TransactAsync<T>(DbConnection connection, Func<DbTransaction, Task<T>> write, CancellationToken cancellationToken)
    {
        await using var transaction = await BeginAsync(connection, cancellationToken);
        var result = await write(transaction);
        // From here on the outcome must be known, whatever the caller cancels.
        await transaction.CommitAsync(CancellationToken.None);
        return result;
    }

    protected virtual ValueTask<DbTransaction> BeginAsync(DbConnection connection, CancellationToken cancellationToken) =>
        connection.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellationToken);

    public virtual async ValueTask DisposeAsync()
    {
        await Source.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    protected bool IsOutage(Exception exception, CancellationToken cancellationToken) =>
        exception is not ApiException && !cancellationToken.IsCancellationRequested && IsOutage(exception);

    protected ApiException Outage(Exception exception)
    {
        var (cause, text) = Describe(exception);
        Trouble.Note(cause, text, WhyUnwritable(exception));
        return new ApiException(ErrorCode.Unavailable, "The database did not answer. Try again; sends are safe to repeat.", exception) { RetryAfterMs = 500 };
    }
}

/// <summary>Dapper calls with the mandatory transaction, cancellation token and timeout.</summary>
internal static class DapperCalls
{
    public static Task<int> ExecuteAsync(this DbTransaction transaction, string sql, object? parameters, CancellationToken cancellationToken) =>
        transaction.Connection!.ExecuteAsync(Command(sql, parameters, transaction, cancellationToken));

    public static async Task<List<T>> QueryAsync<T>(this DbTransaction transaction, string sql, object? parameters, CancellationToken cancellationToken) =>
        (await transaction.Connection!.QueryAsync<T>(Command(sql, parameters, transaction, cancellationToken))).AsList();

    public static Task<T?> QuerySingleAsync<T>(this DbTransaction transaction, string sql, object? parameters, CancellationToken cancellationToken) =>
        transaction.Connection!.QuerySingleOrDefaultAsync<T?>(Command(sql, parameters, transaction, cancellationToken));

    public static Task<int> ExecuteAsync(this DbConnection connection, string sql, object? parameters, CancellationToken cancellationToken) =>
        connection.ExecuteAsync(Command(sql, parameters, null, cancellationToken));

    public static async Task<List<T>> QueryAsync<T>(this DbConnection connection, string sql, object? parameters, CancellationToken cancellationToken) =>
        (await connection.QueryAsync<T>(Command(sql, parameters, null, cancellationToken))).AsList();

    public static Task<T?> QuerySingleAsync<T>(this DbConnection connection, string sql, object? parameters, CancellationToken cancellationToken) =>
        connection.QuerySingleOrDefaultAsync<T?>(Command(sql, parameters, null, cancellationToken));

    /// <summary>For rows that are not all wanted, or not all at once.</summary>
    public static Task<DbDataReader> ExecuteReaderAsync(this DbConnection connection, string sql, object? parameters, CancellationToken cancellationToken) =>
        connection.ExecuteReaderAsync(Command(sql, parameters, null, cancellationToken), CommandBehavior.SingleResult);

    private static CommandDefinition Command(string sql, object? parameters, DbTransaction? transaction, CancellationToken cancellationToken) =>
        new(sql, parameters, transaction, Database.CommandTimeoutSeconds, CommandType.Text, cancellationToken: cancellationToken);
}
