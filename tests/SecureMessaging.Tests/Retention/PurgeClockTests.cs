using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Retention;

/// <summary>Purging cannot be undone, so a wrong clock purges nothing.</summary>
public abstract class PurgeClockTests(TestServer shared)
{
    private static readonly TimeSpan FarAhead = TimeSpan.FromDays(400);

    // No other timer of the server has this period.
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1.7);

    protected JumpingTime Time { get; } = new(Period);

    [Fact]
    public async Task A_clock_that_is_temporarily_ahead_purges_nothing()
    {
        await using var server = await StartAsync();
        await using var anna = await server.SignUpAsync();
        await SendAsync(anna, 3600);
        await server.ScalarAsync<int>("select 1");
        await WaitForRunsAsync();
        Time.Jump(FarAhead);
        await Eventually.TrueAsync(() => Has(server, "nothing is purged until"));
        await WaitForRunsAsync();
        Assert.Equal("degraded", await StateAsync(server));
        Time.Jump(-FarAhead);
        await WaitForRunsAsync();
        Assert.Equal(1, await KeptAsync(server));
        Assert.Equal(1, await server.ScalarAsync<long>("select count(*) from sessions"));
    }

    [Fact]
    public async Task A_server_that_starts_with_a_clock_ahead_does_not_purge_at_once()
    {
        await using var server = await StartAsync();
        await using var anna = await server.SignUpAsync();
        await SendAsync(anna, 3600);
        await WaitForRunsAsync();
        await server.StopAsync();
        Time.Jump(FarAhead);
        await server.StartAsync();
        await WaitForRunsAsync();
        Assert.True(Has(server, "nothing is purged until"));
        Assert.Equal(1, await KeptAsync(server));
    }

    protected Task<TestServer> StartAsync() => shared.DedicatedAsync(
        builder => builder.Services.Replace(ServiceDescriptor.Singleton<TimeProvider>(Time)), $"--Retention:Period={Period:c}",
        "--Auth:AccessTokenLifetime=01:00:00");

    protected static async Task SendAsync(TestUser user, int timeToLive)
    {
        var room = await user.CreateRoomAsync([]);
        var hub = await user.ConnectAsync();
        await hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), [1], TimeToLiveSeconds: timeToLive));
    }

    protected static Task<long> KeptAsync(TestServer server) => server.ScalarAsync<long>("select count(*) from entries where ciphertext is not null");

    protected static bool Has(TestServer server, string text) => server.Logs.Any(line => line.Contains(text, StringComparison.Ordinal));

    protected Task WaitForRunsAsync() => Time.TicksAsync(5);

    private static async Task<string?> StateAsync(TestServer server)
    {
        using var document = System.Text.Json.JsonDocument.Parse(await server.Http.GetStringAsync("/health/ready"));
        return document.RootElement.GetProperty("checks").GetProperty("retention").GetString();
    }
}

public sealed class PurgeClockTestsOnSqlite(SqliteServer shared) : PurgeClockTests(shared)
{
    [Fact]
    public async Task A_steady_clock_purges_expired_entries()
    {
        await using var server = await StartAsync();
        await using var anna = await server.SignUpAsync();
        await SendAsync(anna, 60);
        Assert.Equal(1, await KeptAsync(server));
        Time.Pass(TimeSpan.FromMinutes(3));
        await Eventually.TrueAsync(async () => await KeptAsync(server) == 0);
        Assert.False(Has(server, "nothing is purged until"));
    }

    [Fact]
    public async Task A_run_after_a_long_pause_advances_by_one_day_and_logs_it()
    {
        await using var server = await StartAsync();
        await using var anna = await server.SignUpAsync();
        await SendAsync(anna, 3600);
        await SendAsync(anna, (int)TimeSpan.FromDays(5).TotalSeconds);
        await WaitForRunsAsync();
        await server.StopAsync();
        Time.Pass(TimeSpan.FromDays(10));
        await server.StartAsync();
        await WaitForRunsAsync();
        Assert.Equal(2, await KeptAsync(server));
        Time.Pass(TimeSpan.FromMinutes(61));
        await Eventually.TrueAsync(() => Has(server, "this run purges what expired until"));
        // One day per run: the last entry expired after five days.
        await Eventually.TrueAsync(async () => await KeptAsync(server) == 0);
        Assert.InRange(server.Logs.Count(line => line.Contains("this run purges what expired until", StringComparison.Ordinal)), 5, 10);
    }
}

public sealed class PurgeClockTestsOnPostgres(PostgresServer shared) : PurgeClockTests(shared)
{
    [Theory]
    [InlineData(3, "180 minutes ahead of the database's: nothing is purged")]
    [InlineData(-3, "180 minutes behind the database's: nothing is purged")]
    public async Task A_steady_clock_that_disagrees_with_the_databases_purges_nothing(int hours, string sentence)
    {
        await using var server = await StartAsync();
        await using var anna = await server.SignUpAsync();
        await SendAsync(anna, 3600);
        await WaitForRunsAsync();
        Time.Pass(TimeSpan.FromHours(hours));
        await Eventually.TrueAsync(() => Has(server, sentence));
        await WaitForRunsAsync();
        Assert.Equal(1, await KeptAsync(server));
    }
}
