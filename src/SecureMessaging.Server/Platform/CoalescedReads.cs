namespace SecureMessaging.Server.Platform;

/// <summary>
/// Reads by key that become one statement when many come at once: while a few are under way, the others gather and go together. A crowd that connects after
/// a node has died thus costs a handful of statements and connections instead of thousands, and leaves the rest of the pool to the sends.
/// </summary>
/// <remarks>
/// What a read returns is never older than its call, as of a read by itself: its statement begins afterwards. SQLite reads in the process, where there is
/// nothing to save.
/// </remarks>
/// <param name="database">What is read.</param>
/// <param name="select">The statement up to and without its condition on the key.</param>
/// <param name="column">The column of the key.</param>
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
        // Not under the gate, and not on the caller's time.
        await Task.Yield();
        for (; batch is not null; batch = Next())
        {
            try
            {
                var keys = batch.Keys.ToArray();
                // Not one caller's token: the others still wait. The statement's own timeout bounds it.
                var rows = await database.ReadAsync(connection => connection.QueryAsync<TRow>(many, new { Keys = keys }, CancellationToken.None), CancellationToken.None);
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
