using System.Text.Json;
using SecureMessaging.Client;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Admin;

/// <summary><c>secmsg logs</c> as a process, and the SDK under it.</summary>
public sealed class LogsCommandTests(SqliteServer shared)
{
    private static string Secmsg => Path.Combine(Path.GetDirectoryName(Repository.BuiltAssembly("src/SecureMessaging.Server"))!.Replace("SecureMessaging.Server", "SecureMessaging.Cli", StringComparison.Ordinal), "secmsg.dll");

    [Fact]
    public async Task Lines_go_to_a_pipe_as_JSON_also_after_a_restart_of_the_server()
    {
        using var directory = new TestDirectory();
        await using var server = await shared.DedicatedAsync("--Server:NodeName=alpha");
        await using var admin = await server.SignUpAdminAsync();
        await using var user = await server.SignUpAsync();
        Dictionary<string, string?> environment = new() { ["XDG_DATA_HOME"] = directory.Path, ["SECMSG_PASSWORD"] = admin.Password };
        var (code, _, error) = await Programs.RunAsync(Secmsg, ["sign-in", admin.Username, "--server", server.Url.ToString()], environment);
        Assert.True(code == 0, error);
        using var process = Programs.Start(Secmsg, ["logs", "--follow", "--level", "information", "--event", "6001", "--node", "alpha"], environment);
        try
        {
            for (var round = 0; round < 2; round++)
            {
                Assert.Equal("(following)", await process.StandardError.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)));
                if (round > 0)
                {
                    var gap = JsonSerializer.Deserialize<LogLine>((await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30)))!, Wire.Json)!;
                    Assert.Equal(("LinesMissed", LogSeverity.Warning), (gap.EventName, gap.Severity));
                }
                using var enabled = await admin.Http.PostAsync($"/v1/admin/users/{user.Username}/enable", null);
                var text = await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30));
                var line = JsonSerializer.Deserialize<LogLine>(text!, Wire.Json)!;
                Assert.Equal(("alpha", 6001, $"Administrator {admin.Id} enabled account {user.Id}"), (line.Node, line.EventId, line.Message));
                if (round > 0)
                    continue;
                await server.RestartAsync();
                Assert.Equal("(connection lost; reconnecting)", await process.StandardError.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30)));
            }
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
    }

    [Fact]
    public async Task Who_is_no_administrator_is_told_so()
    {
        await using var user = await shared.SignUpAsync();
        await using var client = await SecureMessagingClient.SignInAsync(shared.Url, user.Username, user.Password, new ClientOptions { Cipher = new SharedKeyCipher() });
        var refusal = await Assert.ThrowsAsync<SecureMessagingException>(async () =>
        {
            await foreach (var line in client.Admin.FollowLogsAsync(new LogFilter()))
                Assert.Fail(line.Message);
        });
        Assert.Equal(ErrorCode.Forbidden, refusal.ErrorCode);
        refusal = await Assert.ThrowsAsync<SecureMessagingException>(() => client.Admin.GetStatsAsync());
        Assert.Equal(ErrorCode.Forbidden, refusal.ErrorCode);
    }
}
