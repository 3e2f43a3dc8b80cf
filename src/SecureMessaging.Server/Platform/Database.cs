using System.Data;
using System.Data.Common;
using Dapper;
using Microsoft.Extensions.Logging.Abstractions;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Platform;

/// <summary>
/// The database behind every store: SQLite or Postgres. Stores write portable SQL once and ask <see cref="IsPostgres"/> only where the engines truly differ.
/// </summary>
/// <remarks>
/// A lambda given to <see cref="WriteAsync{T}"/> is one transaction; it must be repeatable, because the victim of a deadlock is run again.
/// </remarks>
internal abstract class Database(DbDataSource source, DatabaseTrouble? trouble) : IAsyncDisposable
{
    /// <summary>Bounds how long any statement may keep a caller waiting (HAZARD: pool exhaustion in an outage).</summary>
    public const int CommandTimeoutSeconds = 4;

    private const int MaxAttempts = 4;

    protected DbDataSource Source { get; } = source;

    public abstract bool IsPostgres { get; }

    public DatabaseTrouble Trouble { get; } = trouble ?? new DatabaseTrouble(TimeProvider.System, NullLogger<DatabaseTrouble>.Instance);

    /// <summary>Brings the schema up to date. Safe when many nodes do it at once.</summary>
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

    /// <summary>One statement or batch of them, which is its own transaction, for a thread that may block.</summary>
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
                // The database rolled back in favour of another transaction; the next attempt starts afresh.
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

    /// <summary>Whether the exception says that a unique or primary key is taken.</summary>
    public abstract bool IsUniqueViolation(Exception exception);

    /// <summary>Whether the database answered and refused the values themselves, so that the same statement with the same values fails every time.</summary>
    public abstract bool IsRefusalOfValues(Exception exception);

    /// <summary>Takes a lock that one transaction of all nodes can hold at a time, or returns false at once. It ends with the transaction.</summary>
    public abstract Task<bool> TryLockAsync(DbTransaction transaction, long key, CancellationToken cancellationToken);

    /// <summary>A condition: is one of the list, a parameter made by <see cref="ListOf(IEnumerable{Guid})"/>. Npgsql sends a list as one array, Microsoft.Data.Sqlite has none.</summary>
    public abstract string AnyOf(string parameter);

    /// <summary>The value of a list for <see cref="AnyOf"/>; goes into <see cref="DynamicParameters"/>.</summary>
    public abstract object ListOf(IEnumerable<Guid> ids);

    /// <inheritdoc cref="ListOf(IEnumerable{Guid})"/>
    public abstract object ListOf(IEnumerable<byte[]> values);

    /// <summary>Whether the database answers, and stores if it could not the last time.</summary>
    public async Task ProbeAsync(CancellationToken cancellationToken)
    {
        if (Trouble.Unwritable is not null)
            await ExecuteAsync("update installation set id = 1 where id = 1", null, cancellationToken);
        else
            await ReadAsync(connection => connection.QuerySingleAsync<int>("select id from installation", null, cancellationToken), cancellationToken);
    }

    /// <summary>Makes the engine forget what was deleted, where it would keep it of its own accord.</summary>
    public virtual Task ForgetDeletedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Whether the transaction was the victim of another one and may be run again (deadlock, serialisation failure).</summary>
    protected virtual bool IsConflict(Exception exception) => false;

    /// <summary>Whether the exception means that the database could not answer, as opposed to a refusal of this statement.</summary>
    protected abstract bool IsOutage(Exception exception);

    /// <summary>A sentence of <see cref="DatabaseTrouble"/> when the exception means that nothing can be stored although the database answers.</summary>
    protected abstract string? WhyUnwritable(Exception exception);

    /// <summary>One of a few causes, and what the engine says about this one. Neither holds stored values.</summary>
    protected virtual (string Cause, string Text) Describe(Exception exception) => exception is TimeoutException or OperationCanceledException
        ? ("timeout", $"no answer within {CommandTimeoutSeconds} s")
        : (exception.GetType().Name, exception.Message);

    protected virtual DbConnection Open() => Source.OpenConnection();

    protected virtual ValueTask<DbConnection> OpenAsync(CancellationToken cancellationToken) => Source.OpenConnectionAsync(cancellationToken);

    protected async Task<T> TransactAsync<T>(DbConnection connection, Func<DbTransaction, Task<T>> write, CancellationToken cancellationToken)
    {
        await using var transaction = await BeginAsync(connection, cancellationToken);
        var result = await write(transaction);
        // Past this point the outcome must be learned, whatever the caller does.
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

/// <summary>Dapper with what every call here must carry: the transaction, a cancellation token and the timeout.</summary>
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

    private static CommandDefinition Command(string sql, object? parameters, DbTransaction? transaction, CancellationToken cancellationToken) =>
        new(sql, parameters, transaction, Database.CommandTimeoutSeconds, CommandType.Text, cancellationToken: cancellationToken);
}
