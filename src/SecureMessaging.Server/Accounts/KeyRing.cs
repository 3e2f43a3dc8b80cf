using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Startup;

namespace SecureMessaging.Server.Accounts;

/// <summary>
/// The keys that sign access tokens. Each key is published before it signs, signs until its successor does, and is deleted when none of its tokens can be
/// valid. Nodes share the directory: the first node to create a number wins, and all nodes read that key.
/// </summary>
internal sealed class KeyRing
{
    private static readonly TimeSpan UnknownKeyPause = TimeSpan.FromSeconds(5);
    private readonly string directory;
    private readonly AuthOptions options;
    private readonly TimeProvider time;
    private readonly Lock gate = new();
    // Ordered by number. Replaced as a whole, so that readers need no lock.
    private volatile SigningKey[] keys = [];
    private DateTime unknownKeyReadAt = DateTime.MinValue;

    public KeyRing(IOptions<ServerOptions> server, IOptions<AuthOptions> options, TimeProvider time)
    {
        this.options = options.Value;
        this.time = time;
        directory = server.Value.EffectiveKeyDirectory;
        Directories.CreatePrivate(directory);
        Reload();
        if (keys.Length == 0)
        {
            // The first key signs at once: no reader holds an older one.
            SigningKey.TryCreate(directory, 1, time.Now());
            Reload();
        }
    }

    public SigningKey Current
    {
        get
        {
            var (ring, now) = (keys, time.Now());
            return Array.FindLast(ring, key => key.SignsFrom <= now) ?? ring[0];
        }
    }

    /// <summary>Every key that may verify a token now or soon.</summary>
    public IReadOnlyList<SigningKey> Published
    {
        get
        {
            var (ring, now) = (keys, time.Now());
            return [.. ring.Where((_, index) => !IsRetired(ring, index, now))];
        }
    }

    public SigningKey? Find(string? id)
    {
        if (id is null)
            return null;
        if (Published.FirstOrDefault(key => key.Id == id) is { } known)
            return known;
        lock (gate)
        {
            // Another node may have created a key since. The pause keeps invented ids from causing a disk read each.
            var now = time.Now();
            if ((now - unknownKeyReadAt).Duration() >= UnknownKeyPause)
            {
                unknownKeyReadAt = now;
                Reload();
            }
        }

        return Published.FirstOrDefault(key => key.Id == id);
    }

    /// <summary>Reads keys of other nodes, restores lost keys, creates the next key when it is due, and deletes retired keys.</summary>
    public KeyTurn Turn()
    {
        lock (gate)
        {
            var done = Restore() ? KeyTurn.Restored : KeyTurn.Nothing;
            Reload();
            var now = time.Now();
            var newest = keys[^1];
            var due = newest.SignsFrom + options.KeyRotation;
            if (now >= due - options.KeyPublishLead)
            {
                if (SigningKey.TryCreate(directory, newest.Number + 1, due < now + options.KeyPublishLead ? now + options.KeyPublishLead : due))
                    done |= KeyTurn.Created;
                // Also if another node was first: all nodes use that key.
                Reload();
            }

            var ring = keys;
            for (var index = 0; index < ring.Length; index++)
            {
                if (IsRetired(ring, index, now))
                    File.Delete(SigningKey.PathOf(directory, ring[index].Number));
            }

            keys = [.. ring.Where((_, index) => !IsRetired(ring, index, now))];
            return done;
        }
    }

    /// <summary>
    /// Writes back keys of this node that the directory has lost. If another node has meanwhile created a key of the same number, both stay: the own key gets a
    /// later number and signs from now on. So all nodes converge on one key, and none rejects the tokens of another.
    /// </summary>
    private bool Restore()
    {
        var now = time.Now();
        var ring = keys;
        var stored = LoadAll();
        var lost = ring.Where((key, index) => !IsRetired(ring, index, now) && !IsStored(key)).ToList();
        if (lost.Count == 0)
        {
            // Another node may have restored this node's key under a later number. The key that has its number now is valid too.
            if (Array.Exists(ring, key => stored.Exists(other => other.Number == key.Number && other.Id != key.Id)))
                keys = [.. stored];
            return false;
        }

        foreach (var key in lost)
        {
            while (true)
            {
                // By name, because an unreadable file, such as a broken link, also takes its number. Before the keys are read, so that this node finds its own
                // key if another node has just stored it.
                var taken = SigningKey.NumbersIn(directory).ToHashSet();
                stored = LoadAll();
                if (IsStored(key))
                    break;
                var isTaken = taken.Contains(key.Number);
                // Fails if another node is first; the loop then retries.
                key.TryStore(directory, isTaken ? taken.Max() + 1 : key.Number, isTaken ? now : key.SignsFrom);
            }
        }

        keys = [.. stored];
        return true;

        bool IsStored(SigningKey key) => stored.Exists(other => other.Id == key.Id);
    }

    private List<SigningKey> LoadAll() =>
        [.. SigningKey.NumbersIn(directory).Order().Select(number => SigningKey.Load(directory, number)).OfType<SigningKey>()];

    private void Reload()
    {
        var known = keys.ToDictionary(key => key.Number);
        // A key that another node has retired early by its clock stays until this node's clock agrees. A key that this node retired is no longer on disk.
        foreach (var number in SigningKey.NumbersIn(directory))
        {
            if (!known.ContainsKey(number) && SigningKey.Load(directory, number) is { } key)
                known.Add(number, key);
        }

        keys = [.. known.Values.OrderBy(key => key.Number)];
    }

    private bool IsRetired(SigningKey[] ring, int index, DateTime now) =>
        index + 1 < ring.Length && ring[index + 1].SignsFrom + options.AccessTokenLifetime + options.KeyRetireMargin <= now;
}

[Flags]
internal enum KeyTurn
{
    Nothing = 0,
    Created = 1,
    Restored = 2,
}
