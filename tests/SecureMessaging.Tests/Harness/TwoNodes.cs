using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Server.Cluster;

namespace SecureMessaging.Tests.Harness;

/// <summary>Two nodes on one Postgres and on a Redis of their own, which the test may kill and pause.</summary>
public sealed class TwoNodes : IAsyncDisposable
{
    private TestServer? first;
    private TestServer? second;

    private TwoNodes()
    {
    }

    public RedisProcess Redis { get; } = new();

    public TestServer First => first ?? throw new InvalidOperationException("The first node did not start.");

    public TestServer Second => second ?? throw new InvalidOperationException("The second node did not start.");

    /// <summary>Starts both nodes. With Redis, they reach each other on return; without it, they connect once the test starts it.</summary>
    public static async Task<TwoNodes> StartAsync(PostgresServer shared, string firstName = "first", string secondName = "second", bool withRedis = true)
    {
        var nodes = new TwoNodes();
        try
        {
            if (withRedis)
                await nodes.Redis.StartAsync();
            nodes.first = await shared.DedicatedAsync(nodes.RedisSetting, $"--Server:NodeName={firstName}");
            nodes.second = await nodes.AnotherAsync($"--Server:NodeName={secondName}");
            if (withRedis)
                await nodes.HealthyAsync(true);
            return nodes;
        }
        catch
        {
            await nodes.DisposeAsync();
            throw;
        }
    }

    /// <summary>One more node on the same Postgres and Redis. Dispose it before these.</summary>
    public Task<TestServer> AnotherAsync(params string[] args) => First.AnotherNodeAsync([RedisSetting, .. args]);

    /// <summary>Waits until both nodes use Redis, or until both have detected that it fails.</summary>
    public Task HealthyAsync(bool healthy) => Eventually.TrueAsync(() => IsHealthy(First) == healthy && IsHealthy(Second) == healthy);

    public static bool IsHealthy(TestServer node) => node.Services.GetRequiredService<NodeBus>().IsHealthy;

    public void Deconstruct(out TestServer firstNode, out TestServer secondNode) => (firstNode, secondNode) = (First, Second);

    public async ValueTask DisposeAsync()
    {
        if (second is not null)
            await second.DisposeAsync();
        if (first is not null)
            await first.DisposeAsync();
        await Redis.DisposeAsync();
    }

    private string RedisSetting => $"--ConnectionStrings:Redis={Redis.ConnectionString}";
}
