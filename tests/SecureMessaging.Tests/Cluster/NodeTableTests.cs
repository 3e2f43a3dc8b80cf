using System.Net.Http.Headers;
using System.Text.Json;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Cluster;

/// <summary>Differently configured nodes on one Postgres: each reports it, and no entry is lost between them.</summary>
[Trait("Ring", "Full")]
public sealed class NodeTableTests(PostgresServer shared)
{
    [Theory]
    [InlineData(true, false, "secure-messaging")]
    [InlineData(false, false, "secure-messaging")]
    [InlineData(true, true, "another")]
    public async Task Nodes_without_a_common_Redis_report_it_and_follow_each_other_through_the_database(bool firstHasRedis, bool secondHasRedis, string prefix)
    {
        await using var redis = new RedisProcess();
        await redis.StartAsync();
        string[] connected = [$"--ConnectionStrings:Redis={redis.ConnectionString}"];
        await using var first = await shared.DedicatedAsync([.. firstHasRedis ? connected : [], "--Server:NodeName=anton"]);
        await using var second = await first.AnotherNodeAsync(
            [.. secondHasRedis ? connected : [], "--Server:NodeName=berta", $"--Redis:ChannelPrefix={prefix}"]);
        await Eventually.TrueAsync(async () => await StateAsync(first) == "degraded" && await StateAsync(second) == "degraded");
        Assert.Single(first.Logs, line => line.Contains("berta and this node do not reach each other through Redis", StringComparison.Ordinal));
        Assert.Single(second.Logs, line => line.Contains("anton and this node do not reach each other through Redis", StringComparison.Ordinal));

        var users = await first.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync();
        var reader = await users[1].ConnectAsync(node: second.Url);
        var ack = await writer.SendAsync(room.Id, [1]);
        await reader.WaitAsync(room.Id, entries => entries.Length > 0 && entries[^1].Seq == ack.Seq);
        (await users[1].Http.PostAsync("/v1/auth/logout-everywhere", null)).EnsureSuccessStatusCode();
        await reader.Closed.Task.WaitAsync(TimeSpan.FromSeconds(30));

        await second.StopAsync();
        await Eventually.TrueAsync(async () => await StateAsync(first) == "healthy");
        Assert.Equal(1, await first.ScalarAsync<long>("select count(*) from nodes"));
    }

    [Fact]
    public async Task Nodes_that_share_a_Redis_are_healthy()
    {
        await using var nodes = await TwoNodes.StartAsync(shared);
        var (first, second) = nodes;
        await Eventually.TrueAsync(async () => await first.ScalarAsync<long>("select count(*) from nodes where redis = 2") == 2);
        // Each node has compared once more since then.
        var since = await first.ScalarAsync<DateTime>("select clock_timestamp()");
        await Eventually.TrueAsync(async () => await first.ScalarAsync<long>("select count(*) from nodes where seen_at > @since", new { since }) == 2);
        Assert.Equal(("healthy", "healthy"), (await StateAsync(first), await StateAsync(second)));
    }

    [Fact]
    public async Task A_lost_signing_key_is_restored_and_nodes_soon_accept_each_others_tokens()
    {
        await using var first = await shared.DedicatedAsync();
        await using var second = await first.AnotherNodeAsync();
        await using var before = await first.SignUpAsync();
        foreach (var file in Directory.GetFiles(Path.Combine(first.DataDirectory, "keys"), "signing-*.json"))
            File.Delete(file);
        await second.RestartAsync();
        await using var after = await TestPeople.SignUpAsync(second.Url);
        await Eventually.TrueAsync(async () => await AcceptsAsync(second, before) && await AcceptsAsync(first, after));
        await Eventually.TrueAsync(async () => await first.ScalarAsync<long>("select count(distinct signing_key) from nodes") == 1);
        Assert.Contains(first.Logs, line => line.Contains("was missing or replaced in the key directory", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Nodes_with_different_keys_report_it()
    {
        await using var first = await shared.DedicatedAsync("--Server:NodeName=anton");
        using var copy = new TestDirectory();
        Directory.CreateDirectory(copy.Path);
        foreach (var file in new[] { "server.secret", "installation.id" })
            File.Copy(Path.Combine(first.DataDirectory, "keys", file), copy.Combine(file));
        await using var second = await first.AnotherNodeAsync($"--Server:KeyDirectory={copy.Path}");
        await Eventually.TrueAsync(async () => await StateAsync(second) == "degraded");
        Assert.Contains(second.Logs, line => line.Contains($"anton signs with a key that is not in {copy.Path}", StringComparison.Ordinal));

        // Without its directory the node continues with its loaded keys, and keeps comparing.
        Directory.Delete(copy.Path, recursive: true);
        await Eventually.TrueAsync(
            () => second.Logs.Any(line => line.Contains("The key directory could not be read to look for another node's key", StringComparison.Ordinal)));
        Assert.DoesNotContain(second.Logs, line => line.Contains("The row of this node could not be written", StringComparison.Ordinal));
        await first.StopAsync();
        await Eventually.TrueAsync(async () => await StateAsync(second) == "healthy");
    }

    [Fact]
    public async Task A_wrong_clock_is_reported_by_readiness()
    {
        await using var node = await shared.DedicatedAsync();
        node.Time.Advance(TimeSpan.FromMinutes(10));
        await Eventually.TrueAsync(async () => await StateAsync(node) == "degraded");
        Assert.Contains(node.Logs, line => line.Contains("s ahead of the database's", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Nodes_whose_pools_exceed_the_connections_of_Postgres_report_it()
    {
        var allowed = await shared.ScalarAsync<int>(PostgresDatabase.AllowedConnectionsSql);
        var pool = allowed / 2;
        // Alone each is allowed. The writer adds two connections to each pool.
        await using var first = await shared.DedicatedAsync($"--Postgres:PoolSize={pool}");
        await Eventually.TrueAsync(async () => await first.ScalarAsync<long>("select count(*) from nodes") == 1);
        Assert.Equal("healthy", await StateAsync(first));
        await using var second = await first.AnotherNodeAsync($"--ConnectionStrings:Postgres={first.PostgresConnection};Maximum Pool Size={pool}");
        await Eventually.TrueAsync(async () => await StateAsync(first) == "degraded" && await StateAsync(second) == "degraded");
        var sentence = $"2 nodes may open {2 * (pool + 2)} connections, and Postgres allows {allowed}: lower Postgres:PoolSize, or raise max_connections.";
        Assert.Single(first.Logs, line => line.Contains(sentence, StringComparison.Ordinal));
        Assert.Single(second.Logs, line => line.Contains(sentence, StringComparison.Ordinal));
    }

    private static async Task<bool> AcceptsAsync(TestServer node, TestUser user)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/me");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", user.Tokens.AccessToken);
        using var response = await node.Http.SendAsync(request);
        return response.IsSuccessStatusCode;
    }

    private static async Task<string?> StateAsync(TestServer node)
    {
        using var document = JsonDocument.Parse(await node.Http.GetStringAsync("/health/ready"));
        return document.RootElement.GetProperty("checks").GetProperty("cluster").GetString();
    }
}
