using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Npgsql;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

public abstract class HealthTests(TestServer server)
{
    [Fact]
    public async Task Readiness_is_public()
    {
        Assert.Equal((200, "healthy"), await GetAsync(server, "/health/live"));
        Assert.Equal((200, "healthy"), await GetAsync(server, "/health/ready"));
        using var probe = new HttpRequestMessage(HttpMethod.Head, "/health/ready");
        Assert.Equal(200, (int)(await server.Http.SendAsync(probe)).StatusCode);
        using var document = JsonDocument.Parse(await server.Http.GetStringAsync("/health/ready"));
        Assert.Equal("healthy", document.RootElement.GetProperty("checks").GetProperty("database").GetString());
    }

    [Theory]
    [InlineData(HealthStatus.Degraded, 200, "degraded")]
    [InlineData(HealthStatus.Unhealthy, 503, "unhealthy")]
    public async Task The_worst_check_decides_and_reveals_no_details(HealthStatus status, int code, string name)
    {
        await using var node = await server.DedicatedAsync(
            builder => builder.Services.AddHealthChecks()
                .AddCheck("another", () => new HealthCheckResult(status, "secret-text", new InvalidOperationException("secret"))));
        Assert.Equal((code, name), await GetAsync(node, "/health/ready"));
        Assert.Equal((200, "healthy"), await GetAsync(node, "/health/live"));
        using var response = await node.Http.GetAsync("/health/ready");
        Assert.DoesNotContain("secret", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    protected static async Task<(int Code, string? Status)> GetAsync(TestServer node, string path)
    {
        using var response = await node.Http.GetAsync(path);
        using var document = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        return ((int)response.StatusCode, document.RootElement.GetProperty("status").GetString());
    }
}

public sealed class HealthTestsOnSqlite(SqliteServer server) : HealthTests(server);

public sealed class HealthTestsOnPostgres(PostgresServer server) : HealthTests(server)
{
    [Fact]
    public async Task Without_its_database_a_node_is_live_and_not_ready()
    {
        await using var node = await server.DedicatedAsync();
        await TestPostgres.DropDatabaseAsync(node.PostgresConnection!);
        Assert.Equal((503, "unhealthy"), await GetAsync(node, "/health/ready"));
        Assert.Equal((200, "healthy"), await GetAsync(node, "/health/live"));
    }

    [Fact]
    public async Task An_outage_logs_one_line_per_cause_for_any_number_of_requests()
    {
        await using var node = await server.DedicatedAsync();
        await using var anna = await node.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        await TestPostgres.DropDatabaseAsync(node.PostgresConnection!);
        node.Logs.Clear();
        for (var i = 0; i < 25; i++)
        {
            using var read = await anna.Http.GetAsync("/v1/me");
            using var sent = await anna.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/messages", new SendRequest(room.Id, Guid.NewGuid(), [1]), Wire.Json);
            Assert.Equal((503, 503), ((int)read.StatusCode, (int)sent.StatusCode));
            using var ready = await node.Http.GetAsync("/health/ready");
        }

        // One line of the database per cause (open connections, and new ones), one of the writer, one of readiness, and at most one of the retention
        // job.
        Assert.InRange(node.Logs.Count, 1, 8);
        Assert.Contains(node.Logs, line => line.Contains("The database does not answer", StringComparison.Ordinal));
        Assert.DoesNotContain(node.Logs, line => line.Contains("   at ", StringComparison.Ordinal));
        Assert.True(node.Logs.Sum(line => line.Length) < 8_000, string.Join('\n', node.Logs));
        // No token was rejected: it could not be looked up.
        node.Services.GetRequiredService<SecurityEvents>().Write();
        Assert.DoesNotContain(node.Logs, line => line.Contains("Security event", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_read_only_database_makes_the_node_unready_until_a_write_succeeds()
    {
        await using var node = await server.DedicatedAsync();
        await using var anna = await node.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        await AlterAsync("set default_transaction_read_only = on");
        await Eventually.TrueAsync(async () =>
        {
            Assert.Equal(503, await SendAsync());
            return (await GetAsync(node, "/health/ready")).Code == 503;
        });
        Assert.Single(node.Logs, line => line.Contains("Nothing can be stored: ", StringComparison.Ordinal));
        await AlterAsync("reset default_transaction_read_only");
        await Eventually.TrueAsync(async () => await SendAsync() == 200);
        node.Time.Advance(TimeSpan.FromSeconds(11));
        await Eventually.TrueAsync(async () => (await GetAsync(node, "/health/ready")).Code == 200);

        async Task<int> SendAsync()
        {
            using var sent = await anna.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/messages", new SendRequest(room.Id, Guid.NewGuid(), [1]), Wire.Json);
            return (int)sent.StatusCode;
        }

        async Task AlterAsync(string change)
        {
            await using var connection = new NpgsqlConnection($"{node.PostgresConnection};Pooling=false");
            await connection.OpenAsync();
            foreach (var sql in new[]
            {
                "set default_transaction_read_only = off", $"alter database \"{connection.Database}\" {change}",
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
            })
            {
                await using var command = new NpgsqlCommand(sql, connection);
                await command.ExecuteNonQueryAsync();
            }
        }
    }
}
