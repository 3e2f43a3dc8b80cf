using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Auth;

/// <summary>
/// The keys that sign access tokens. Each key is published for a while before it signs, signs until its successor does,
/// and is destroyed once no token of its can be alive. Nodes share the directory: the first to create a number wins and all read it back.
/// </summary>
internal sealed class KeyRing
{
    private static readonly TimeSpan UnknownKeyPause = TimeSpan.FromSeconds(5);
    private readonly string directory;
    private readonly AuthOptions options;
    private readonly TimeProvider time;
    private readonly Lock gate = new();
    // Ordered by number. Replaced whole, so that readers need no lock.
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
            // The very first key signs at once: nobody holds an older one.
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
            // Another node may have made a key since; but made-up ids must not make us read the disk each time.
            var now = time.Now();
            if ((now - unknownKeyReadAt).Duration() >= UnknownKeyPause)
            {
                unknownKeyReadAt = now;
                Reload();
            }
        }

        return Published.FirstOrDefault(key => key.Id == id);
    }

    /// <summary>Reads what other nodes did, writes back what was lost, makes the next key when it is due, destroys what is retired.</summary>
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
                // Also when another node was first: its key is the one to use.
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
    /// Keys that this node holds and the directory lost are written back. If another node has made a key of the same number meanwhile, both are kept: the
    /// own one goes after it and signs from now on, so that all nodes come to one key and none rejects the tokens of another.
    /// </summary>
    private bool Restore()
    {
        var now = time.Now();
        var ring = keys;
        var stored = LoadAll();
        var lost = ring.Where((key, index) => !IsRetired(ring, index, now) && !IsStored(key)).ToList();
        if (lost.Count == 0)
            return false;
        foreach (var key in lost)
        {
            while (true)
            {
                // By name: a file that cannot be opened, such as a link to nowhere, takes its number too. And before the keys are read, so that a number which
                // another node has just given this very key is found there.
                var taken = SigningKey.NumbersIn(directory).ToHashSet();
                stored = LoadAll();
                if (IsStored(key))
                    break;
                var isTaken = taken.Contains(key.Number);
                // Not stored when another node is first.
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
        // A key that another node retired early by its clock stays here until ours agrees; one that this node dropped is not on disk any more.
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

/// <summary>What a turn of the key ring did.</summary>
[Flags]
internal enum KeyTurn
{
    Nothing = 0,
    Created = 1,
    Restored = 2,
}
