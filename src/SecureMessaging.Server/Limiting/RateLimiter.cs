using System.Collections.Concurrent;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Limiting;

/// <summary>The remaining units of a bucket, and the seconds until it is full.</summary>
internal readonly record struct RateState(int Remaining, int ResetSeconds);

/// <summary>
/// Token buckets, one per key, as the generic cell rate algorithm (ITU-T I.371). A bucket stores only the time at which it is full again, so that
/// taking from it is one compare-and-swap without allocation, lock or timer; a full bucket is removed.
/// </summary>
/// <remarks>
/// Instead of System.Threading.RateLimiting, which reads its own clock (tests cannot move it) and refills each bucket by a timer.
/// </remarks>
internal sealed class RateLimiter<TKey>
    where TKey : notnull
{
    private const int Capacity = 100_000;

    private readonly ConcurrentDictionary<TKey, Bucket> buckets = new();
    private readonly Lock sweeping = new();
    private readonly TimeProvider time;
    private readonly string refusal;
    private readonly long interval;
    private readonly long depth;
    private int count;

    public RateLimiter(string name, RateRule? rule, TimeProvider time, string refusal)
    {
        (Name, Rule, this.time, this.refusal) = (name, rule is { Burst: > 0 } ? rule : null, time, refusal);
        if (Rule is null)
            return;
        interval = Math.Max(1, (long)(time.TimestampFrequency * 60 / Rule.PerMinute));
        depth = (long)Math.Min((double)interval * Rule.Burst, long.MaxValue / 4);
    }

    public string Name { get; }

    /// <summary>Null: no limit.</summary>
    public RateRule? Rule { get; }

    public int Count => Volatile.Read(ref count);

    public void Spend(TKey key, int amount = 1)
    {
        if (!TrySpend(key, amount, out var wait))
            throw Refuse(wait);
    }

    public bool TrySpend(TKey key, int amount, out TimeSpan wait)
    {
        wait = TimeSpan.Zero;
        if (Rule is null)
            return true;
        var now = time.GetTimestamp();
        var bucket = buckets.TryGetValue(key, out var known) ? known : Add(key, now);
        var cost = amount >= Rule.Burst ? depth : interval * amount;
        for (var seen = Volatile.Read(ref bucket.FullAt); ;)
        {
            var fullAt = Math.Max(seen, now) + cost;
            if (fullAt - now > depth)
            {
                wait = time.GetElapsedTime(now + depth, fullAt);
                return false;
            }

            var before = Interlocked.CompareExchange(ref bucket.FullAt, fullAt, seen);
            if (before == seen)
                return true;
            seen = before;
        }
    }

    /// <summary>Takes this amount, or the rest of the bucket: for work that is already done.</summary>
    public void Drain(TKey key, int amount)
    {
        if (Rule is null)
            return;
        var now = time.GetTimestamp();
        var bucket = buckets.TryGetValue(key, out var known) ? known : Add(key, now);
        var cost = amount >= Rule.Burst ? depth : interval * amount;
        for (var seen = Volatile.Read(ref bucket.FullAt); ;)
        {
            var before = Interlocked.CompareExchange(ref bucket.FullAt, Math.Min(Math.Max(seen, now) + cost, now + depth), seen);
            if (before == seen)
                return;
            seen = before;
        }
    }

    /// <summary>Whether <see cref="TrySpend"/> would succeed now; if not, the time to wait.</summary>
    public bool Allows(TKey key, int amount, out TimeSpan wait)
    {
        wait = TimeSpan.Zero;
        if (Rule is null || !buckets.TryGetValue(key, out var bucket))
            return true;
        var now = time.GetTimestamp();
        var over = Math.Max(Volatile.Read(ref bucket.FullAt), now) + (amount >= Rule.Burst ? depth : interval * amount) - now - depth;
        if (over > 0)
            wait = time.GetElapsedTime(now, now + over);
        return over <= 0;
    }

    public ApiException Refuse(TimeSpan wait) =>
        new(ErrorCode.RateLimited, refusal) { RetryAfterMs = (int)Math.Min(int.MaxValue, Math.Ceiling(wait.TotalMilliseconds)) };

    public RateState State(TKey key)
    {
        if (Rule is null || !buckets.TryGetValue(key, out var bucket))
            return new RateState(Rule?.Burst ?? int.MaxValue, 0);
        var now = time.GetTimestamp();
        var missing = Math.Max(0, Volatile.Read(ref bucket.FullAt) - now);
        return new RateState((int)Math.Max(0, (depth - missing) / interval), (int)Math.Ceiling(time.GetElapsedTime(now, now + missing).TotalSeconds));
    }

    public void Sweep()
    {
        var now = time.GetTimestamp();
        foreach (var (key, bucket) in buckets)
        {
            if (Volatile.Read(ref bucket.FullAt) <= now && buckets.TryRemove(key, out _))
                Interlocked.Decrement(ref count);
        }
    }

    private Bucket Add(TKey key, long now)
    {
        if (Volatile.Read(ref count) >= Capacity)
            MakeRoom();
        var added = new Bucket { FullAt = now };
        var bucket = buckets.GetOrAdd(key, added);
        if (bucket == added)
            Interlocked.Increment(ref count);
        return bucket;
    }

    /// <summary>Without a full bucket it removes the fullest ones, so that an attacker who fills the table does not reset its own bucket.</summary>
    private void MakeRoom()
    {
        lock (sweeping)
        {
            if (Volatile.Read(ref count) < Capacity)
                return;
            Sweep();
            if (Volatile.Read(ref count) < Capacity)
                return;
            var fullest = buckets.Select(pair => (pair.Key, FullAt: Volatile.Read(ref pair.Value.FullAt)))
                .OrderBy(pair => pair.FullAt).Take(Capacity / 10).ToList();
            foreach (var (key, _) in fullest)
            {
                if (buckets.TryRemove(key, out _))
                    Interlocked.Decrement(ref count);
            }
        }
    }

    private sealed class Bucket
    {
        public long FullAt;
    }
}
