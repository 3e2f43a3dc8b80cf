using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Auth;

/// <summary>
/// Slows guessing at one account. It counts per name as it was given, known or not, because a count shared between
/// the username and the e-mail of one account would tell that they belong together. Kept in memory only, and as keyed hashes.
/// </summary>
internal sealed class LoginThrottle(TimeProvider time, IOptions<AuthOptions> options)
{
    private const int Capacity = 10_000;
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(15);
    private readonly byte[] key = RandomNumberGenerator.GetBytes(32);
    private readonly Lock gate = new();
    private readonly Dictionary<Guid, Failures> failures = [];

    /// <summary>Refuses when the name is in backoff. Else the caller may try, and reports the outcome.</summary>
    public void Enter(string name)
    {
        var id = Key(name);
        var now = time.Now();
        lock (gate)
        {
            if (!failures.TryGetValue(id, out var past) || past.Count < options.Value.FailuresBeforeBackoff)
                return;
            var wait = past.OpenAt - now;
            if (wait > TimeSpan.Zero)
                throw new ApiException(ErrorCode.RateLimited, "Too many failed sign-ins.") { RetryAfterMs = (int)Math.Ceiling(wait.TotalMilliseconds) };
            // Claimed before the outcome is known, or a burst of parallel guesses would all pass at the moment the wait ends.
            failures[id] = past with { OpenAt = now + Wait(past.Count) };
        }
    }

    public void Failed(string name)
    {
        var id = Key(name);
        var now = time.Now();
        lock (gate)
        {
            var count = failures.TryGetValue(id, out var past) && now - past.LastAt < 2 * LongestWait ? past.Count + 1 : 1;
            if (past is null && failures.Count >= Capacity)
                MakeRoom(now);
            failures[id] = new Failures(count, now, now + Wait(count));
        }
    }

    public void Succeeded(string name)
    {
        var id = Key(name);
        lock (gate)
            failures.Remove(id);
    }

    private TimeSpan Wait(int count)
    {
        var doublings = count - options.Value.FailuresBeforeBackoff;
        return doublings < 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(Math.Min(LongestWait.TotalSeconds, Math.Pow(2, doublings)));
    }

    private void MakeRoom(DateTime now)
    {
        foreach (var (id, past) in failures)
        {
            if (now - past.LastAt >= 2 * LongestWait)
                failures.Remove(id);
        }

        // Names with few failures go first: filling the table must not buy a guesser a fresh start on the name under attack.
        if (failures.Count >= Capacity)
        {
            foreach (var id in failures.OrderBy(pair => pair.Value.Count).ThenBy(pair => pair.Value.LastAt).Take(Capacity / 10).Select(pair => pair.Key).ToList())
                failures.Remove(id);
        }
    }

    private Guid Key(string name) => new(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(name)).AsSpan(0, 16));

    private sealed record Failures(int Count, DateTime LastAt, DateTime OpenAt);
}
