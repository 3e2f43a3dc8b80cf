using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Auth;

/// <summary>
/// Slows guessing at one account. It counts per name as it was given, known or not, because a count shared between
/// the username and the e-mail of one account would tell that they belong together. Sessions, and addresses from which the owner has signed in or renewed within a
/// day, have counts of their own, so that guesses of strangers do not lock the owner out. Kept in memory only, and as keyed hashes.
/// </summary>
internal sealed class LoginThrottle(TimeProvider time, IOptions<AuthOptions> options)
{
    private const int Capacity = 10_000;
    private const int KnownCapacity = 100_000;
    private static readonly TimeSpan ShortestWait = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan KnownFor = TimeSpan.FromDays(1);
    private readonly byte[] key = RandomNumberGenerator.GetBytes(32);
    private readonly Lock gate = new();
    private readonly Dictionary<Guid, Failures> failures = [];
    private readonly Dictionary<Guid, DateTime> known = [];

    /// <summary>Attempts without an outcome yet. They count like failures, or a burst of parallel guesses would all pass before the first of them has failed.</summary>
    private readonly Dictionary<Guid, int> trying = [];

    /// <summary>
    /// False when what is counted is in backoff, with the time that is left of it, or when as many attempts wait for their outcome as may fail. Else the caller may
    /// try, reports the outcome, and then calls <see cref="Leave"/>.
    /// </summary>
    public bool TryEnter(string counted, out TimeSpan wait)
    {
        var id = Key(counted);
        var now = time.Now();
        wait = TimeSpan.Zero;
        lock (gate)
        {
            var attempts = trying.GetValueOrDefault(id);
            if (!failures.TryGetValue(id, out var past) || past.Count < options.Value.FailuresBeforeBackoff)
            {
                if ((past?.Count ?? 0) + attempts >= options.Value.FailuresBeforeBackoff)
                {
                    wait = ShortestWait;
                    return false;
                }
            }
            else
            {
                wait = past.OpenAt - now;
                if (wait > TimeSpan.Zero)
                    return false;
                // Claimed before the outcome is known, or a burst of parallel guesses would all pass at the moment the wait ends.
                failures[id] = past with { OpenAt = now + Wait(past.Count) };
            }

            trying[id] = attempts + 1;
            return true;
        }
    }

    /// <summary>The outcome of an attempt has been reported, or there will be none.</summary>
    public void Leave(string counted)
    {
        var id = Key(counted);
        lock (gate)
        {
            if (--trying[id] == 0)
                trying.Remove(id);
        }
    }

    /// <summary>Whether the account's owner has signed in or renewed a session from the address within a day.</summary>
    public bool IsKnown(Guid userId, Guid address)
    {
        lock (gate)
            return known.TryGetValue(Key($"{userId} {address}"), out var until) && until > time.Now();
    }

    /// <summary>Notes that the account's owner was let in at the address.</summary>
    public void Remember(Guid userId, Guid address)
    {
        var now = time.Now();
        lock (gate)
        {
            if (known.Count >= KnownCapacity)
            {
                foreach (var id in known.Where(pair => pair.Value <= now).Select(pair => pair.Key).ToList())
                    known.Remove(id);
                foreach (var id in known.OrderBy(pair => pair.Value).Take(known.Count - (KnownCapacity * 9 / 10)).Select(pair => pair.Key).ToList())
                    known.Remove(id);
            }

            known[Key($"{userId} {address}")] = now + KnownFor;
        }
    }

    public void Failed(string counted)
    {
        var id = Key(counted);
        var now = time.Now();
        lock (gate)
        {
            var count = failures.TryGetValue(id, out var past) && now - past.LastAt < 2 * LongestWait ? past.Count + 1 : 1;
            if (past is null && failures.Count >= Capacity)
                MakeRoom(now);
            failures[id] = new Failures(count, now, now + Wait(count));
        }
    }

    public void Succeeded(string counted)
    {
        var id = Key(counted);
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

    private Guid Key(string counted) => new(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(counted)).AsSpan(0, 16));

    private sealed record Failures(int Count, DateTime LastAt, DateTime OpenAt);
}
