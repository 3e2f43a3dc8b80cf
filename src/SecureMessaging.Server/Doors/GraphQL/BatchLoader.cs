using GraphQL.DataLoader;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>
/// Loads one field of all objects of a list at once. The executer collects the keys and then awaits the first result, which loads the keys collected so far.
/// Later keys start a new load. Nothing is cached, so no value is stale.
/// </summary>
internal sealed class BatchLoader<TKey, TValue>(Func<IReadOnlyCollection<TKey>, CancellationToken, Task<Dictionary<TKey, TValue>>> load)
    where TKey : notnull
{
    private readonly Lock gate = new();
    private Round? gathering;

    /// <summary>The value of a key, or <paramref name="missing"/> when the load found none.</summary>
    public IDataLoaderResult Load(TKey key, Func<TValue> missing)
    {
        lock (gate)
        {
            gathering ??= new Round();
            gathering.Keys.Add(key);
            return new Result(this, gathering, key, missing);
        }
    }

    private Task<Dictionary<TKey, TValue>> RunAsync(Round round, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            if (gathering == round)
                gathering = null;
            return round.Loaded ??= load(round.Keys, cancellationToken);
        }
    }

    private sealed class Round
    {
        public HashSet<TKey> Keys { get; } = [];

        public Task<Dictionary<TKey, TValue>>? Loaded { get; set; }
    }

    private sealed class Result(BatchLoader<TKey, TValue> batch, Round round, TKey key, Func<TValue> missing) : IDataLoaderResult
    {
        public async Task<object?> GetResultAsync(CancellationToken cancellationToken = default) =>
            (await batch.RunAsync(round, cancellationToken)).TryGetValue(key, out var value) ? value : missing();
    }
}
