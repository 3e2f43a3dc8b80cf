using System.Text.Json;
using SecureMessaging.Tests.Harness;
using StackExchange.Redis;

namespace SecureMessaging.Tests.Cluster;

/// <summary>An unusable Redis causes one log line with the cause; readiness repeats it only at the management address.</summary>
[Trait("Ring", "Full")]
public sealed class RedisCauseTests(PostgresServer shared)
{
    [Theory]
    [InlineData("password=wrong", "it rejects the user or the password")]
    [InlineData("", "it rejects the user or the password")]
    [InlineData("user=limited,password=known", "its user has no right to publish")]
    [InlineData("password=secret,ssl=true", "TLS fails")]
    public async Task The_cause_is_named(string credentials, string cause)
    {
        await using var redis = new RedisProcess();
        await redis.StartAsync();
        await using (var admin = await ConnectionMultiplexer.ConnectAsync($"{redis.ConnectionString},allowAdmin=true"))
        {
            var server = admin.GetServers()[0];
            await server.ExecuteAsync("ACL", "SETUSER", "limited", "on", ">known", "~*", "+@all", "resetchannels");
            await server.ExecuteAsync("CONFIG", "SET", "requirepass", "secret");
        }

        await AssertNamedAsync($"{redis.ConnectionString},{credentials}", cause);
    }

    [Fact]
    public Task An_unreachable_address_is_named() => AssertNamedAsync("127.0.0.1:1", "nothing answers at its address");

    private async Task AssertNamedAsync(string connection, string cause)
    {
        await using var node = await shared.DedicatedAsync($"--ConnectionStrings:Redis={connection}");
        await Eventually.TrueAsync(() => node.Logs.Any(line => line.Contains(cause, StringComparison.Ordinal)), () => string.Join('\n', node.Logs));

        for (var probe = 0; probe < 20; probe++)
        {
            using var document = JsonDocument.Parse(await node.Http.GetStringAsync("/health/ready"));
            Assert.Equal("degraded", document.RootElement.GetProperty("checks").GetProperty("redis").GetString());
        }

        await node.Time.PassAsync(TimeSpan.FromSeconds(10));
        // The bus's line, and the one change of readiness.
        Assert.InRange(node.Logs.Count(line => line.Contains("Redis", StringComparison.Ordinal)), 2, 3);
        Assert.DoesNotContain(node.Logs, line => line.Contains("wrong", StringComparison.Ordinal) || line.Contains("   at ", StringComparison.Ordinal));
    }
}
