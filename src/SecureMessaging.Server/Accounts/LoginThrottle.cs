using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Accounts;

/// <summary>
/// Slows down guesses at one account. Failures are counted for each given name, known or not: a shared count for the username and the e-mail address of an
/// account would reveal that they belong together. Sessions, and addresses from which the owner signed in or renewed within the last 24 hours, have counts of
/// their own, so that strangers cannot lock the owner out. Counts are kept only in memory, under keyed hashes.
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

    /// <summary>Attempts in progress. They count as failures: otherwise a burst of parallel guesses would pass before the first one fails.</summary>
    private readonly Dictionary<Guid, int> trying = [];

    /// <summary>
    /// False: the name is in backoff for <paramref name="wait"/>, or too many attempts are in progress. True: the caller may try. It must report the outcome,
    /// and then call <see cref="Leave"/>.
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
                // Claimed before the outcome is known: otherwise a burst of parallel guesses would pass when the wait ends.
                failures[id] = past with { OpenAt = now + Wait(past.Count) };
            }

            trying[id] = attempts + 1;
            return true;
        }
    }

    public void Leave(string counted)
    {
        var id = Key(counted);
        lock (gate)
        {
            if (--trying[id] == 0)
                trying.Remove(id);
        }
    }

    /// <summary>Whether the account's owner signed in or renewed a session from the address within the last 24 hours.</summary>
    public bool IsKnown(Guid userId, Guid address)
    {
        lock (gate)
            return known.TryGetValue(Key($"{userId} {address}"), out var until) && until > time.Now();
    }

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

        // Names with few failures are dropped first: an attacker must not reset the count of a name by filling the table.
        if (failures.Count >= Capacity)
        {
            foreach (var (id, _) in failures.OrderBy(pair => pair.Value.Count).ThenBy(pair => pair.Value.LastAt).Take(Capacity / 10).ToList())
                failures.Remove(id);
        }
    }

    private Guid Key(string counted) => new(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(counted)).AsSpan(0, 16));

    private sealed record Failures(int Count, DateTime LastAt, DateTime OpenAt);
}
