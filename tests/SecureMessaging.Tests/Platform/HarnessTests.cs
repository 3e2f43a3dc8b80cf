using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>The guarantees that every other test relies on.</summary>
[Trait("Ring", "Full")]
public abstract class HarnessTests(TestServer server)
{
    [Fact]
    public async Task The_server_answers_and_reports_its_limits() =>
        Assert.Equal(Limits.Default with { RoomBytes = 10L * 1024 * 1024 * 1024 }, await server.Http.GetFromJsonAsync<Limits>("/v1/limits", Wire.Json));

    [Fact]
    public async Task An_unknown_path_is_a_problem_with_a_code()
    {
        await using var anna = await server.SignUpAsync();
        using var response = await anna.Http.GetAsync("/v1/nothing-here");
        var error = await response.ReadErrorAsync(404, ErrorCode.NotFound);
        Assert.False(error.Retryable);
    }

    [Fact]
    public async Task A_dedicated_server_restarts_with_its_data_and_port()
    {
        await using var dedicated = await server.DedicatedAsync();
        var url = dedicated.Url;
        await dedicated.Database.ExecuteAsync("create table kept (a integer)", null, CancellationToken.None);
        await dedicated.RestartAsync();
        Assert.Equal(url, dedicated.Url);
        Assert.Equal(0, await dedicated.ScalarAsync<long>("select count(*) from kept"));
        Assert.Contains(dedicated.Logs, line => line.Contains(server.Engine, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_clock_moves_on_a_dedicated_server_only()
    {
        Assert.Throws<InvalidOperationException>(() => server.Time.Advance(TimeSpan.FromDays(1)));
        await using var dedicated = await server.DedicatedAsync();
        var before = dedicated.Time.GetUtcNow();
        dedicated.Time.Advance(TimeSpan.FromDays(1));
        Assert.InRange(dedicated.Time.GetUtcNow() - before, TimeSpan.FromDays(1), TimeSpan.FromDays(1) + TimeSpan.FromMinutes(1));
        Assert.Same(dedicated.Time, dedicated.Services.GetService(typeof(TimeProvider)));
    }

    [Fact]
    public async Task A_killed_process_restarts_on_its_port()
    {
        using var directory = new TestDirectory();
        var postgres = server.PostgresConnection is null ? null : await TestPostgres.CreateDatabaseAsync();
        await using (var process = new ServerProcess(directory.Path, postgres))
        {
            await process.StartAsync();
            await process.KillAsync();
            Assert.Equal(128 + 9, process.ExitCode);
            await process.StartAsync();
            process.Terminate();
            await process.ExitedAsync();
            Assert.Equal(0, process.ExitCode);
        }

        if (postgres is not null)
            await TestPostgres.DropDatabaseAsync(postgres);
    }
}

public sealed class HarnessTestsOnSqlite(SqliteServer server) : HarnessTests(server);

public sealed class HarnessTestsOnPostgres(PostgresServer server) : HarnessTests(server)
{
    [Fact]
    public async Task Another_node_shares_database_and_keys()
    {
        await using var first = await server.DedicatedAsync();
        await using var second = await first.AnotherNodeAsync();
        await first.Database.ExecuteAsync("create table shared_rows (a integer)", null, CancellationToken.None);
        Assert.Equal(0, await second.ScalarAsync<long>("select count(*) from shared_rows"));
        Assert.NotEqual(first.Url, second.Url);
    }
}
