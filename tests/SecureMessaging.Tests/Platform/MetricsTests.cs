using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.Platform.Startup;
using SecureMessaging.Tests.Contract;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

public abstract partial class MetricsTests(TestServer server)
{
    [Fact]
    public async Task Metrics_are_only_on_the_management_port_and_name_no_person()
    {
        // A separate process: meters are matched by name, so servers of one process count together, and one that ends removes the counts.
        using var directory = new TestDirectory();
        var postgres = server.PostgresConnection is null ? null : await TestPostgres.CreateDatabaseAsync();
        var management = new Uri($"http://127.0.0.1:{Ports.Take()}");
        await using (var node = new ServerProcess(directory.Path, postgres, $"--Management:Url={management}", "--Server:NodeName=alpha"))
        {
            await node.StartAsync();
            await MeasureAsync(node, management);
        }

        if (postgres is not null)
            await TestPostgres.DropDatabaseAsync(postgres);
    }

    private static async Task MeasureAsync(ServerProcess node, Uri management)
    {
        await using var user = await TestPeople.SignUpAsync(node.Url);
        var room = await user.CreateRoomAsync([]);
        var connection = await user.ConnectAsync();
        for (var i = 0; i < 5; i++)
            await connection.SendAsync(room.Id, [1, 2, 3]);
        using var http = new HttpClient { BaseAddress = management };
        var text = await http.GetStringAsync("/metrics");
        Assert.Equal(5, Read(text, @"securemessaging_sends\w*\{[^}]*outcome=""stored""[^}]*\}"));
        Assert.Equal(5, Read(text, @"securemessaging_append_duration\w*_count(\{[^}]*\})?"));
        Assert.Equal(0, Read(text, @"securemessaging_send_queue\w*(\{[^}]*\})?"));
        Assert.Contains("service_instance_id=\"alpha\"", text, StringComparison.Ordinal);
        foreach (var secret in new[] { user.Username, user.Id.ToString(), room.Id.ToString(), user.Tokens.SessionId.ToString() })
            Assert.DoesNotContain(secret, text, StringComparison.Ordinal);
        Assert.Empty(Label().Matches(text).Select(match => match.Groups["name"].Value).Except(Inventory.Declared.MetricLabels.Keys, StringComparer.Ordinal));

        var health = await http.GetFromJsonAsync<NodeHealth>("/health", Wire.Json);
        Assert.Equal(("healthy", "alpha", ServerVersion.Current), (health!.Status, health.Node, health.Version));
        Assert.Equal("healthy", health.Checks["database"].Status);
        Assert.All(
            new[] { "\"Node\":\"alpha\"", $"\"Version\":\"{ServerVersion.Current}\"" },
            property => Assert.All(node.Output.Where(line => line.StartsWith('{')), line => Assert.Contains(property, line, StringComparison.Ordinal)));

        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync("/v1/limits")).StatusCode);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics") { Headers = { Host = management.Authority } };
        Assert.Equal(HttpStatusCode.NotFound, (await user.Http.SendAsync(request)).StatusCode);
    }

    private static double Read(string text, string metric)
    {
        var found = Regex.Match(text, $"^{metric} (?<value>[0-9.eE+]+)", RegexOptions.Multiline | RegexOptions.ExplicitCapture, TimeSpan.FromSeconds(5));
        Assert.True(found.Success, text);
        return double.Parse(found.Groups["value"].Value, System.Globalization.CultureInfo.InvariantCulture);
    }

    [GeneratedRegex("""(?<=[{,])(?<name>[a-z_]+)=["]""", RegexOptions.ExplicitCapture, 10_000)]
    private static partial Regex Label();
}

public sealed class MetricsTestsOnSqlite(SqliteServer server) : MetricsTests(server);

public sealed class MetricsTestsOnPostgres(PostgresServer server) : MetricsTests(server);

public sealed class ManagementPortTests
{
    [Fact]
    public async Task Two_servers_with_default_settings_both_start()
    {
        using var directories = new TestDirectory();
        await using var first = Build(directories.Combine("first"));
        await using var second = Build(directories.Combine("second"));
        await first.StartAsync();
        await second.StartAsync();
        Assert.Contains(new[] { first, second }, app => app.Services.GetServices<Microsoft.Extensions.Hosting.IHostedService>().OfType<ManagementService>()
            .Single().Address is null);
        await first.StopAsync();
        await second.StopAsync();
    }

    [Fact]
    public async Task A_configured_port_that_is_taken_is_an_error()
    {
        using var directories = new TestDirectory();
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        await using var app = Build(directories.Combine("one"), $"--Management:Url=http://127.0.0.1:{((IPEndPoint)taken.LocalEndpoint).Port}");
        await Assert.ThrowsAsync<StartException>(() => app.StartAsync());
    }

    private static Microsoft.AspNetCore.Builder.WebApplication Build(string directory, params string[] arguments) =>
        ServerApp.Build(["--urls=http://127.0.0.1:0", $"--Server:DataDirectory={directory}", "--Logs:Console=false", .. arguments]);
}
