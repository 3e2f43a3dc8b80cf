using System.Net.Http.Headers;
using System.Text.Json;
using SecureMessaging.Server.Platform;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Cluster;

/// <summary>Nodes on one Postgres that are set up differently: each says so, and nothing is lost between them.</summary>
public sealed class NodeTableTests(PostgresServer shared)
{
    [Theory]
    [InlineData(true, false, "secure-messaging")]
    [InlineData(false, false, "secure-messaging")]
    [InlineData(true, true, "another")]
    public async Task Nodes_that_do_not_hear_each_other_say_so_and_follow_each_other_through_the_database(bool firstHasRedis, bool secondHasRedis, string prefix)
    {
        await using var redis = new RedisProcess();
        await redis.StartAsync();
        string[] connected = [$"--ConnectionStrings:Redis={redis.ConnectionString}"];
        await using var first = await shared.DedicatedAsync([.. firstHasRedis ? connected : [], "--Server:NodeName=anton"]);
        await using var second = await first.AnotherNodeAsync([.. secondHasRedis ? connected : [], "--Server:NodeName=berta", $"--Redis:ChannelPrefix={prefix}"]);
        await Eventually.TrueAsync(async () => await StateAsync(first) == "degraded" && await StateAsync(second) == "degraded");
        Assert.Single(first.Logs, line => line.Contains("berta and this node do not hear each other through Redis", StringComparison.Ordinal));
        Assert.Single(second.Logs, line => line.Contains("anton and this node do not hear each other through Redis", StringComparison.Ordinal));

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
    public async Task Nodes_that_share_a_redis_are_healthy()
    {
        await using var redis = new RedisProcess();
        await redis.StartAsync();
        await using var first = await shared.DedicatedAsync($"--ConnectionStrings:Redis={redis.ConnectionString}");
        await using var second = await first.AnotherNodeAsync($"--ConnectionStrings:Redis={redis.ConnectionString}");
        await Eventually.TrueAsync(async () => await first.ScalarAsync<long>("select count(*) from nodes where redis = 2") == 2);
        await Task.Delay(TimeSpan.FromSeconds(6));
        Assert.Equal(("healthy", "healthy"), (await StateAsync(first), await StateAsync(second)));
    }

    [Fact]
    public async Task A_lost_signing_key_comes_back_and_no_node_rejects_the_tokens_of_another_for_long()
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
        Assert.Contains(first.Logs, line => line.Contains("had lost or replaced a signing key", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Nodes_with_keys_of_their_own_say_so()
    {
        await using var first = await shared.DedicatedAsync("--Server:NodeName=anton");
        using var copy = new TestDirectory();
        Directory.CreateDirectory(copy.Path);
        foreach (var file in new[] { "server.secret", "installation.id" })
            File.Copy(Path.Combine(first.DataDirectory, "keys", file), copy.Combine(file));
        await using var second = await first.AnotherNodeAsync($"--Server:KeyDirectory={copy.Path}");
        await Eventually.TrueAsync(async () => await StateAsync(second) == "degraded");
        Assert.Contains(second.Logs, line => line.Contains($"anton signs with a key that is not in {copy.Path}", StringComparison.Ordinal));

        // Without its directory the node goes on with the keys that it has, and goes on comparing.
        Directory.Delete(copy.Path, recursive: true);
        await Eventually.TrueAsync(() => second.Logs.Any(line => line.Contains("The key directory could not be read to look for another node's key", StringComparison.Ordinal)));
        Assert.DoesNotContain(second.Logs, line => line.Contains("The row of this node could not be written", StringComparison.Ordinal));
        await first.StopAsync();
        await Eventually.TrueAsync(async () => await StateAsync(second) == "healthy");
    }

    [Fact]
    public async Task A_clock_that_is_wrong_is_in_the_readiness()
    {
        await using var node = await shared.DedicatedAsync();
        node.Time.Advance(TimeSpan.FromMinutes(10));
        await Eventually.TrueAsync(async () => await StateAsync(node) == "degraded");
        Assert.Contains(node.Logs, line => line.Contains("s ahead of the database's", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Nodes_that_may_open_more_connections_together_than_postgres_allows_say_so()
    {
        var allowed = await shared.ScalarAsync<int>(PostgresDatabase.AllowedConnectionsSql);
        var pool = allowed / 2;
        // Alone each is allowed. Two connections of the writer come to each pool.
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
