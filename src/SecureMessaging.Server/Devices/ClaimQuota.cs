using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Devices;

/// <summary>
/// Draining a device's KeyPackages is an attack: it leaves the one of last resort, which gives less forward secrecy. Buckets that fill up with time bound what one
/// account takes in all, and of one device. In memory only, for who talks to whom is nobody's business.
/// </summary>
internal sealed class ClaimQuota(TimeProvider time, IOptions<DevicesOptions> options)
{
    private const int Capacity = 100_000;

    private readonly Lock gate = new();
    private readonly Dictionary<Guid, Bucket> ofRequesters = [];
    private readonly Dictionary<(Guid Requester, Guid Device), Bucket> ofPairs = [];

    /// <summary>Takes from what the account may claim in all, or refuses and takes nothing.</summary>
    public void Spend(Guid requester, int count)
    {
        var now = time.Now();
        lock (gate)
        {
            var bucket = Fill(ofRequesters, requester, options.Value.ClaimBurst, options.Value.ClaimsPerHour, now);
            if (bucket.Left < count)
            {
                var wait = TimeSpan.FromHours((count - bucket.Left) / options.Value.ClaimsPerHour);
                throw new ApiException(ErrorCode.RateLimited, "Too many KeyPackages were claimed.") { RetryAfterMs = (int)Math.Ceiling(wait.TotalMilliseconds) };
            }

            ofRequesters[requester] = bucket with { Left = bucket.Left - count };
        }
    }

    /// <summary>Whether the account may have a KeyPackage of the device that is used once.</summary>
    public bool TryTake(Guid requester, Guid deviceId)
    {
        var now = time.Now();
        lock (gate)
        {
            var bucket = Fill(ofPairs, (requester, deviceId), options.Value.ClaimBurstPerDevice, options.Value.ClaimsPerDeviceAndHour, now);
            if (bucket.Left < 1)
                return false;
            ofPairs[(requester, deviceId)] = bucket with { Left = bucket.Left - 1 };
            return true;
        }
    }

    private static Bucket Fill<TKey>(Dictionary<TKey, Bucket> buckets, TKey key, int burst, int perHour, DateTime now)
        where TKey : notnull
    {
        if (buckets.TryGetValue(key, out var bucket))
            return new Bucket(Math.Min(burst, bucket.Left + (Math.Max(0, (now - bucket.At).TotalHours) * perHour)), now);
        if (buckets.Count >= Capacity)
            MakeRoom(buckets, burst, perHour, now);
        return new Bucket(burst, now);
    }

    /// <summary>Full buckets say nothing. If there are none, the fullest go: filling the table must not buy an attacker a fresh start.</summary>
    private static void MakeRoom<TKey>(Dictionary<TKey, Bucket> buckets, int burst, int perHour, DateTime now)
        where TKey : notnull
    {
        foreach (var (key, bucket) in buckets)
        {
            if (bucket.Left + ((now - bucket.At).TotalHours * perHour) >= burst)
                buckets.Remove(key);
        }

        if (buckets.Count >= Capacity)
        {
            foreach (var key in buckets.OrderByDescending(pair => pair.Value.Left).Take(Capacity / 10).Select(pair => pair.Key).ToList())
                buckets.Remove(key);
        }
    }

    private readonly record struct Bucket(double Left, DateTime At);
}
