namespace SecureMessaging.Server.Limiting;

/// <summary>The size of a bucket and its refill rate.</summary>
internal sealed record RateRule
{
    /// <summary>The size. A single call that needs more takes the whole bucket.</summary>
    public int Burst { get; set; }

    public double PerMinute { get; set; }

    public bool IsValid => Burst is >= 1 and <= 1_000_000_000 && PerMinute is >= 0.001 and <= 1_000_000_000;
}

/// <summary>
/// The limits of one account, or of one address (an IPv6 network of 64 bits). Section <c>RateLimits</c>. Counted in memory, per node, and kept for
/// minutes.
/// </summary>
internal sealed class RateLimitOptions
{
    public const string Section = "RateLimits";

    /// <summary>False leaves only the limits of KeyPackage claims, which protect devices and not the server.</summary>
    public bool Enabled { get; set; } = true;

    public RateRule Requests { get; set; } = new() { Burst = 3000, PerMinute = 6000 };

    /// <summary>HTTP requests from an address, counted before authentication.</summary>
    public RateRule RequestsOfAddress { get; set; } = new() { Burst = 10_000, PerMinute = 30_000 };

    public RateRule Connects { get; set; } = new() { Burst = 120, PerMinute = 60 };

    public RateRule ConnectsOfAddress { get; set; } = new() { Burst = 5000, PerMinute = 3000 };

    public RateRule SignUps { get; set; } = new() { Burst = 100, PerMinute = 5 };

    /// <summary>Sign-ins from an address. <c>Auth:FailuresBeforeBackoff</c> also slows guesses at one name.</summary>
    public RateRule SignIns { get; set; } = new() { Burst = 200, PerMinute = 60 };

    public RateRule Hashes { get; set; } = new() { Burst = 20, PerMinute = 6 };

    public RateRule HashesOfAddress { get; set; } = new() { Burst = 300, PerMinute = 120 };

    /// <summary>
    /// New e-mail addresses of an account, not the one that it has. Each also counts in <see cref="SignUps"/>, because it reveals as much as a sign-up.
    /// </summary>
    public RateRule EmailChanges { get; set; } = new() { Burst = 5, PerMinute = 0.1 };

    public RateRule Renewals { get; set; } = new() { Burst = 2000, PerMinute = 1000 };

    public RateRule Sends { get; set; } = new() { Burst = 2000, PerMinute = 3000 };

    /// <summary>The cost of GraphQL operations of an account, or of an address without one.</summary>
    public RateRule GraphQL { get; set; } = new() { Burst = 200_000, PerMinute = 300_000 };

    /// <summary>Signed device lists of an account. Each causes an entry in the log of all its MLS rooms.</summary>
    public RateRule DeviceLists { get; set; } = new() { Burst = 30, PerMinute = 0.1 };

    /// <summary>Reports of invalid commits by an account. An admin's report resets the group of the room.</summary>
    public RateRule InvalidCommits { get; set; } = new() { Burst = 100, PerMinute = 2 };

    /// <summary>KeyPackages that one account may claim; the burst is enough for the largest room.</summary>
    public RateRule Claims { get; set; } = new() { Burst = 3000, PerMinute = 50 };

    /// <summary>
    /// KeyPackages of one device that one other account may claim. Beyond it the account gets the KeyPackage of last resort: no account alone can
    /// empty a stock.
    /// </summary>
    public RateRule ClaimsOfDevice { get; set; } = new() { Burst = 10, PerMinute = 1.0 / 6 };

    public IEnumerable<RateRule> All =>
    [
        Requests, RequestsOfAddress, Connects, ConnectsOfAddress, SignUps, SignIns, Hashes, HashesOfAddress, EmailChanges, Renewals, Sends, GraphQL,
        DeviceLists, InvalidCommits, Claims, ClaimsOfDevice,
    ];
}
