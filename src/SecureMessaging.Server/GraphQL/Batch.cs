using GraphQL.DataLoader;

namespace SecureMessaging.Server.GraphQL;

/// <summary>
/// Loads for all objects of a list at once what each of them asks for. The execution collects the keys and then asks for the first result: that loads
/// what has gathered by then, and what comes later gathers anew. Nothing is kept, so nothing is ever stale.
/// </summary>
internal sealed class Batch<TKey, TValue>(Func<IReadOnlyCollection<TKey>, CancellationToken, Task<Dictionary<TKey, TValue>>> load)
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

    private sealed class Result(Batch<TKey, TValue> batch, Round round, TKey key, Func<TValue> missing) : IDataLoaderResult
    {
        public async Task<object?> GetResultAsync(CancellationToken cancellationToken = default) =>
            (await batch.RunAsync(round, cancellationToken)).TryGetValue(key, out var value) ? value : missing();
    }
}
