using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Limiting;

/// <summary>
/// All rate limits. Keys are account ids, or addresses as <see cref="ClientAddress"/> returns them; they are neither stored nor logged.
/// </summary>
internal sealed class RateLimits : IDisposable
{
    private static readonly TimeSpan SweepPeriod = TimeSpan.FromSeconds(30);
    private readonly ITimer sweep;

    public RateLimits(IOptions<RateLimitOptions> options, TimeProvider time)
    {
        var rules = options.Value;
        Requests = Create("requests", rules.Requests, "Too many requests of this account.");
        RequestsOfAddress = Create("address", rules.RequestsOfAddress, "Too many requests from this address.");
        Connects = Create("connects", rules.Connects, "Too many connections of this account.");
        ConnectsOfAddress = Create("address-connects", rules.ConnectsOfAddress, "Too many connections from this address.");
        SignUps = Create("sign-ups", rules.SignUps, "Too many new accounts from this address.");
        SignIns = Create("sign-ins", rules.SignIns, "Too many sign-ins from this address.");
        Hashes = Create("hashes", rules.Hashes, "Too many password checks of this account.");
        HashesOfAddress = Create("address-hashes", rules.HashesOfAddress, "Too many password checks from this address.");
        EmailChanges = Create("email-changes", rules.EmailChanges, "Too many new e-mail addresses of this account.");
        Renewals = Create("renewals", rules.Renewals, "Too many renewals.");
        Sends = Create("sends", rules.Sends, "Too many sends of this account; nothing was stored.");
        GraphQL = Create("graphql", rules.GraphQL, "Too many GraphQL operations, or too complex ones.");
        DeviceLists = Create("device-lists", rules.DeviceLists, "Too many device lists of this account.");
        InvalidCommits = Create("invalid-commits", rules.InvalidCommits, "Too many reports of invalid commits of this account.");
        Claims = new("claims", rules.Claims, time, "Too many KeyPackages were claimed.");
        ClaimsOfDevice = new("device-claims", rules.ClaimsOfDevice, time, "Too many KeyPackages of one device were claimed.");
        sweep = time.CreateTimer(_ => Sweep(), null, SweepPeriod, SweepPeriod);

        RateLimiter<Guid> Create(string name, RateRule rule, string refusal) => new(name, rules.Enabled ? rule : null, time, refusal);
    }

    public RateLimiter<Guid> Requests { get; }

    public RateLimiter<Guid> RequestsOfAddress { get; }

    public RateLimiter<Guid> Connects { get; }

    public RateLimiter<Guid> ConnectsOfAddress { get; }

    public RateLimiter<Guid> SignUps { get; }

    public RateLimiter<Guid> SignIns { get; }

    public RateLimiter<Guid> Hashes { get; }

    public RateLimiter<Guid> HashesOfAddress { get; }

    public RateLimiter<Guid> EmailChanges { get; }

    public RateLimiter<Guid> Renewals { get; }

    public RateLimiter<Guid> Sends { get; }

    public RateLimiter<Guid> GraphQL { get; }

    public RateLimiter<Guid> DeviceLists { get; }

    public RateLimiter<Guid> InvalidCommits { get; }

    public RateLimiter<Guid> Claims { get; }

    public RateLimiter<(Guid Requester, Guid Device)> ClaimsOfDevice { get; }

    public void Dispose() => sweep.Dispose();

    private void Sweep()
    {
        foreach (var limiter in new[]
        {
            Requests, RequestsOfAddress, Connects, ConnectsOfAddress, SignUps, SignIns, Hashes, HashesOfAddress, EmailChanges, Renewals, Sends, GraphQL,
            DeviceLists, InvalidCommits, Claims,
        })
        {
            limiter.Sweep();
        }

        ClaimsOfDevice.Sweep();
    }
}
