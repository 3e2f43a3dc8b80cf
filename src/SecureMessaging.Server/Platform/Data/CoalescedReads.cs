namespace SecureMessaging.Server.Platform.Data;

/// <summary>
/// Combines concurrent reads by key into one statement: while a few statements run, further keys gather for the next. When many clients reconnect
/// after the death of a node, their reads take a handful of statements and connections instead of thousands.
/// </summary>
/// <remarks>
/// A result is never older than its call: the statement begins after it. SQLite reads in the process, where combining saves nothing.
/// </remarks>
/// <param name="database">The database.</param>
/// <param name="select">The statement without its condition on the key.</param>
/// <param name="column">The key's column.</param>
/// <param name="keyOf">The key of a row.</param>
internal sealed class CoalescedReads<TRow>(Database database, string select, string column, Func<TRow, Guid> keyOf)
{
    private const int MaxRunning = 2;

    private readonly string one = $"{select} {column} = @Key";
    private readonly string many = $"{select} {column} = any(@Keys)";
    private readonly Lock gate = new();
    private Batch gathering = new();
    private int running;

    public async Task<List<TRow>> ReadAsync(Guid key, CancellationToken cancellationToken)
    {
        if (!database.IsPostgres)
            return await database.ReadAsync(connection => connection.QueryAsync<TRow>(one, new { Key = key }, cancellationToken), cancellationToken);
        Batch batch;
        lock (gate)
        {
            batch = gathering;
            batch.Keys.Add(key);
            if (running < MaxRunning)
            {
                running++;
                gathering = new Batch();
                _ = RunAsync(batch);
            }
        }

        return [.. (await batch.Rows.Task.WaitAsync(cancellationToken))[key]];
    }

    private async Task RunAsync(Batch? batch)
    {
        await Task.Yield();
        for (; batch is not null; batch = Next())
        {
            try
            {
                var keys = batch.Keys.ToArray();
                // No caller's token, because others wait for the same statement. The command timeout bounds it.
                var rows = await database.ReadAsync(
                    connection => connection.QueryAsync<TRow>(many, new { Keys = keys }, CancellationToken.None), CancellationToken.None);
                batch.Rows.TrySetResult(rows.ToLookup(keyOf));
            }
            catch (Exception exception)
            {
                batch.Rows.TrySetException(exception);
            }
        }
    }

    private Batch? Next()
    {
        lock (gate)
        {
            if (gathering.Keys.Count == 0)
            {
                running--;
                return null;
            }

            var batch = gathering;
            gathering = new Batch();
            return batch;
        }
    }

    private sealed class Batch
    {
        public HashSet<Guid> Keys { get; } = [];

        public TaskCompletionSource<ILookup<Guid, TRow>> Rows { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
