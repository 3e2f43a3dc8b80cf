namespace SecureMessaging.Server.Limiting;

/// <summary>How much may be taken at once, and how fast that fills up again.</summary>
internal sealed record RateRule
{
    /// <summary>Where one call may take more than this, it takes all there is.</summary>
    public int Burst { get; set; }

    public double PerMinute { get; set; }

    public bool IsValid => Burst is >= 1 and <= 1_000_000_000 && PerMinute is >= 0.001 and <= 1_000_000_000;
}

/// <summary>
/// How much one account, or one address (an IPv6 network of 64 bits), may ask for. Section <c>RateLimits</c>. Counted in memory, on each node, for as long as it
/// matters: minutes.
/// </summary>
internal sealed class RateLimitOptions
{
    public const string Section = "RateLimits";

    /// <summary>False leaves only the quotas of KeyPackages, which protect others than the server.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>REST requests and hub calls of an account, other than sends.</summary>
    public RateRule Requests { get; set; } = new() { Burst = 3000, PerMinute = 6000 };

    /// <summary>HTTP requests from an address, before anything is known about who asks.</summary>
    public RateRule RequestsOfAddress { get; set; } = new() { Burst = 10_000, PerMinute = 30_000 };

    /// <summary>Connections that an account opens, of hub and GraphQL.</summary>
    public RateRule Connects { get; set; } = new() { Burst = 120, PerMinute = 60 };

    /// <summary>Connections opened from an address.</summary>
    public RateRule ConnectsOfAddress { get; set; } = new() { Burst = 5000, PerMinute = 3000 };

    /// <summary>New accounts from an address.</summary>
    public RateRule SignUps { get; set; } = new() { Burst = 100, PerMinute = 5 };

    /// <summary>Sign-ins from an address. Guessing at one name is slowed by <c>Auth:FailuresBeforeBackoff</c> besides.</summary>
    public RateRule SignIns { get; set; } = new() { Burst = 200, PerMinute = 60 };

    /// <summary>Password hashes for an account that is signed in: where it confirms an act, or changes its password.</summary>
    public RateRule Hashes { get; set; } = new() { Burst = 20, PerMinute = 6 };

    /// <summary>Password hashes for an address, by every door: signing up and in, confirmations.</summary>
    public RateRule HashesOfAddress { get; set; } = new() { Burst = 300, PerMinute = 120 };

    /// <summary>New e-mail addresses of an account. Each is also one of the <see cref="SignUps"/> of its address, because it tells as much as one.</summary>
    public RateRule EmailChanges { get; set; } = new() { Burst = 5, PerMinute = 0.1 };

    /// <summary>Refreshes from an address, and tickets of an account.</summary>
    public RateRule Renewals { get; set; } = new() { Burst = 2000, PerMinute = 1000 };

    /// <summary>Envelopes of an account, by whichever door.</summary>
    public RateRule Sends { get; set; } = new() { Burst = 2000, PerMinute = 3000 };

    /// <summary>What the GraphQL operations of an account, or of an address without one, may cost.</summary>
    public RateRule GraphQL { get; set; } = new() { Burst = 200_000, PerMinute = 300_000 };

    /// <summary>KeyPackages that one account may claim, at once enough for the largest room.</summary>
    public RateRule Claims { get; set; } = new() { Burst = 3000, PerMinute = 50 };

    /// <summary>KeyPackages of one device that one other account may claim. Past it there is only the one of last resort, so that nobody empties a stock alone.</summary>
    public RateRule ClaimsOfDevice { get; set; } = new() { Burst = 10, PerMinute = 1.0 / 6 };

    public IEnumerable<RateRule> All =>
        [Requests, RequestsOfAddress, Connects, ConnectsOfAddress, SignUps, SignIns, Hashes, HashesOfAddress, EmailChanges, Renewals, Sends, GraphQL, Claims, ClaimsOfDevice];
}
