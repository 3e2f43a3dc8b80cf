using System.Net;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Limiting;

/// <summary>The buckets alone: limits, removal and cost.</summary>
public sealed class RateLimiterTests
{
    private readonly AdjustableTime time = new(shared: false);

    [Fact]
    public void A_bucket_allows_its_burst_and_then_its_rate()
    {
        var limiter = Create(burst: 5, perMinute: 60);
        var (mine, others) = (Guid.NewGuid(), Guid.NewGuid());
        for (var i = 0; i < 5; i++)
            limiter.Spend(mine);
        var refused = Assert.Throws<ApiException>(() => limiter.Spend(mine));
        Assert.Equal(ErrorCode.RateLimited, refused.Code);
        Assert.InRange(refused.RetryAfterMs!.Value, 1, 1000);
        Assert.Equal(0, limiter.State(mine).Remaining);
        limiter.Spend(others);
        Assert.Equal(4, limiter.State(others).Remaining);

        time.Advance(TimeSpan.FromSeconds(2));
        limiter.Spend(mine, 2);
        Assert.False(limiter.TrySpend(mine, 1, out _));
        time.Advance(TimeSpan.FromDays(1));
        Assert.Equal(new RateState(5, 0), limiter.State(mine));
        // An amount over the bucket's size takes the whole bucket and no more.
        limiter.Spend(mine, 100);
        Assert.False(limiter.TrySpend(mine, 1, out var wait));
        Assert.InRange(wait.TotalSeconds, 0, 1);
    }

    [Fact]
    public void A_rejected_call_takes_nothing()
    {
        var limiter = Create(burst: 10, perMinute: 1);
        var key = Guid.NewGuid();
        limiter.Spend(key, 8);
        for (var i = 0; i < 100; i++)
            Assert.False(limiter.TrySpend(key, 3, out _));
        Assert.True(limiter.TrySpend(key, 2, out _));
    }

    [Fact]
    public void Drain_takes_the_amount_or_the_rest()
    {
        var limiter = Create(burst: 10, perMinute: 60);
        var key = Guid.NewGuid();
        limiter.Drain(key, 4);
        Assert.Equal(6, limiter.State(key).Remaining);
        limiter.Drain(key, 8);
        limiter.Drain(key, 1000);
        // Without debt: it refills from zero.
        Assert.Equal(new RateState(0, 10), limiter.State(key));
        time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(3, limiter.State(key).Remaining);
    }

    [Fact]
    public async Task Concurrent_calls_never_exceed_the_burst()
    {
        var limiter = Create(burst: 1000, perMinute: 0.001);
        var key = Guid.NewGuid();
        var passed = await Task.WhenAll(
            Enumerable.Range(0, 8).Select(_ => Task.Run(() => Enumerable.Range(0, 1000).Count(_ => limiter.TrySpend(key, 1, out var _)))));
        Assert.Equal(1000, passed.Sum());
    }

    [Fact]
    public void Idle_buckets_are_removed_and_a_flood_of_keys_is_bounded_and_resets_no_bucket()
    {
        var limiter = Create(burst: 2, perMinute: 1);
        var victim = Guid.NewGuid();
        limiter.Spend(victim, 2);
        for (var i = 0; i < 250_000; i++)
            limiter.Spend(Guid.NewGuid());
        Assert.InRange(limiter.Count, 1, 100_000);
        Assert.False(limiter.TrySpend(victim, 1, out _));
        time.Advance(TimeSpan.FromMinutes(10));
        limiter.Sweep();
        Assert.Equal(0, limiter.Count);
    }

    [Fact]
    public void Spending_allocates_nothing()
    {
        var limiter = Create(burst: 1_000_000, perMinute: 1);
        var key = Guid.NewGuid();
        limiter.Spend(key);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 10_000; i++)
            limiter.Spend(key);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void A_burst_of_zero_is_no_limit()
    {
        var limiter = Create(burst: 0, perMinute: 1);
        for (var i = 0; i < 1000; i++)
            limiter.Spend(Guid.Empty, 1000);
        Assert.Null(limiter.Rule);
    }

    [Theory]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    [InlineData("203.0.113.7", "::ffff:203.0.113.7", true)]
    [InlineData("203.0.113.7", "203.0.113.8", false)]
    [InlineData("::1", "127.0.0.1", false)]
    public void IPv6_addresses_are_counted_per_network_and_IPv4_per_address(string first, string second, bool same) =>
        Assert.Equal(same, ClientAddress.Of(IPAddress.Parse(first)) == ClientAddress.Of(IPAddress.Parse(second)));

    private RateLimiter<Guid> Create(int burst, double perMinute) => new("test", new RateRule { Burst = burst, PerMinute = perMinute }, time, "Too much.");
}
