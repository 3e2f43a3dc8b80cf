using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Admin;

public abstract class LiveLogTests(TestServer server)
{
    [Fact]
    public async Task An_administrator_sees_only_new_lines_that_pass_the_filter()
    {
        await using var dedicated = await server.DedicatedAsync("--Server:NodeName=alpha");
        await using var admin = await dedicated.SignUpAdminAsync();
        await using var user = await dedicated.SignUpAsync();
        await using var all = await LogWatch.StartAsync(admin, new LogFilter());
        await using var byId = await LogWatch.StartAsync(admin, new LogFilter(LogSeverity.Information, "6001", "alpha"));
        await using var byName = await LogWatch.StartAsync(admin, new LogFilter(Event: "Disabled"));
        await using var elsewhere = await LogWatch.StartAsync(admin, new LogFilter(Node: "beta"));
        await using var serious = await LogWatch.StartAsync(admin, new LogFilter(LogSeverity.Error));
        await admin.Http.PostAsync($"/v1/admin/users/{user.Username}/disable", null);
        await admin.Http.PostAsync($"/v1/admin/users/{user.Username}/enable", null);
        await all.WaitAsync(line => line.EventId == 6001);
        await byId.WaitAsync(line => line.EventId == 6001);
        var line = await byName.WaitAsync(line => line.EventId == 6000);
        Assert.Equal(
            ("alpha", LogSeverity.Warning, "Disabled", $"Administrator {admin.Id} disabled account {user.Id}; 1 sessions ended"),
            (line.Node, line.Severity, line.EventName, line.Message));
        Assert.Equal(
            [new("Account", user.Id.ToString()), new("Administrator", admin.Id.ToString()), new("Sessions", "1")],
            line.Properties.OrderBy(property => property.Name, StringComparer.Ordinal));
        Assert.Equal([6000, 6001], all.Lines.Where(one => one.EventId is 6000 or 6001).Select(one => one.EventId));
        Assert.Single(byId.Lines);
        Assert.Single(byName.Lines);
        Assert.Empty(elsewhere.Lines);
        Assert.Empty(serious.Lines);

        // A further call replaces the filter.
        await elsewhere.Hub.InvokeAsync(nameof(IAdminHub.Follow), new LogFilter(Node: "alpha"));
        await admin.Http.PostAsync($"/v1/admin/users/{user.Username}/enable", null);
        await elsewhere.WaitAsync(one => one.EventId == 6001);
    }

    [Fact]
    public async Task Lines_are_redacted_at_the_source()
    {
        await using var dedicated = await server.DedicatedAsync("--Logs:Level=Verbose");
        await using var admin = await dedicated.SignUpAdminAsync();
        await using var watch = await LogWatch.StartAsync(admin, new LogFilter());
        var loggers = dedicated.Services.GetRequiredService<ILoggerFactory>();
        var thrown = new AggregateException("secret-outside", new FormatException("secret-in-exception"));
        var own = loggers.CreateLogger("SecureMessaging.Server.Test");
        using (own.BeginScope(new Dictionary<string, object>(StringComparer.Ordinal) { ["RequestPath"] = "secret-in-scope" }))
            own.LogError(77, thrown, "Seen {Count} of {Text} {Missing}", 3, "line\r\n\e[31mbreak", new[] { "secret-in-array" });
        loggers.CreateLogger("Npgsql.Connection").LogError(78, thrown, "Connecting to secret-host {Host}", "secret-value");
        var line = await watch.WaitAsync(line => line.EventId == 77);
        Assert.Equal("Seen 3 of line\r\n\e[31mbreak …", line.Message);
        Assert.Equal(["Count", "Text"], line.Properties.Select(property => property.Name));
        Assert.Equal([nameof(AggregateException), nameof(FormatException)], line.Exception!);
        var foreign = await watch.WaitAsync(line => line.EventId == 78);
        Assert.Empty(foreign.Properties);
        var everything = System.Text.Json.JsonSerializer.Serialize(watch.Lines, Wire.Json);
        Assert.DoesNotContain("secret", everything, StringComparison.Ordinal);
        Assert.DoesNotContain(admin.Username, everything, StringComparison.Ordinal);
        Assert.DoesNotContain(admin.Tokens.AccessToken, everything, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_viewer_whose_session_ends_sees_no_more_lines()
    {
        await using var admin = await server.SignUpAdminAsync();
        await using var watch = await LogWatch.StartAsync(admin, new LogFilter());
        var closed = new TaskCompletionSource();
        watch.Hub.Closed += _ =>
        {
            closed.TrySetResult();
            return Task.CompletedTask;
        };
        await admin.Http.PostAsync("/v1/auth/logout", null);
        await closed.Task.WaitAsync(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Bad_calls_get_an_error_of_the_catalogue()
    {
        await using var admin = await server.SignUpAdminAsync();
        await using var watch = await LogWatch.StartAsync(admin, new LogFilter());
        var refusal = await Assert.ThrowsAsync<HubException>(() => watch.Hub.InvokeAsync(nameof(IAdminHub.Follow), new LogFilter(Event: new string('x', 200))));
        Assert.Contains(nameof(ErrorCode.Invalid), refusal.Message, StringComparison.Ordinal);
        var unknown = await Assert.ThrowsAsync<HubException>(() => watch.Hub.InvokeAsync("NoSuchMethod"));
        Assert.Contains(nameof(ErrorCode.Invalid), unknown.Message, StringComparison.Ordinal);
        var mistyped = await Assert.ThrowsAsync<HubException>(() => watch.Hub.InvokeAsync(nameof(IAdminHub.Follow), new { @event = 5 }));
        Assert.Contains("#/event", mistyped.Message, StringComparison.Ordinal);
        await watch.Hub.InvokeAsync(nameof(IAdminHub.Follow), new LogFilter());
    }

    [Fact]
    public async Task Without_viewers_no_lines_are_copied()
    {
        await using var dedicated = await server.DedicatedAsync();
        var log = dedicated.Services.GetRequiredService<LiveLog>();
        await using var admin = await dedicated.SignUpAdminAsync();
        Assert.False(log.IsWatched);
        var watch = await LogWatch.StartAsync(admin, new LogFilter());
        Assert.True(log.IsWatched);
        await watch.DisposeAsync();
        await Eventually.TrueAsync(() => !log.IsWatched);
    }

    [Fact]
    public async Task A_flood_of_lines_is_truncated_and_counted_and_slows_no_request()
    {
        await using var dedicated = await server.DedicatedAsync("--Server:NodeName=alpha");
        await using var admin = await dedicated.SignUpAdminAsync();
        await using var watch = await LogWatch.StartAsync(admin, new LogFilter());
        var logger = dedicated.Services.GetRequiredService<ILoggerFactory>().CreateLogger("SecureMessaging.Server.Flood");
        for (var i = 0; i < 30_000; i++)
            logger.LogInformation(88, "Flood {Number}", i);
        var dropped = await watch.WaitAsync(line => line.EventName == "LinesDropped");
        Assert.Equal("alpha", dropped.Node);
        await watch.WaitAsync(line => line.Message == "Flood 29999");
        var lines = watch.Lines;
        var shown = lines.Where(line => line.EventId == 88).Select(line => int.Parse(line.Properties[0].Value)).ToArray();
        Assert.Equal(shown.Order(), shown);
        Assert.Equal(30_000, shown.Length + lines.Where(line => line.EventName == "LinesDropped").Sum(line => int.Parse(line.Properties[0].Value)));
    }
}

public sealed class LiveLogTestsOnSqlite(SqliteServer server) : LiveLogTests(server);

public sealed class LiveLogTestsOnPostgres(PostgresServer server) : LiveLogTests(server);
