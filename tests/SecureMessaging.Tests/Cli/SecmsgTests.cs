using SecureMessaging.Client;
using SecureMessaging.Tests.Admin;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Cli;

/// <summary><c>secmsg</c> as a process: exit status, standard streams and command line.</summary>
[Trait("Ring", "Full")]
public sealed class SecmsgTests(SqliteServer server) : IDisposable
{
    private readonly TestDirectory directory = new();

    private static string Secmsg => Path.Combine(Path.GetDirectoryName(Repository.BuiltAssembly("src/SecureMessaging.Server"))!.Replace(
        "SecureMessaging.Server", "SecureMessaging.Cli", StringComparison.Ordinal), "secmsg.dll");

    [Fact]
    public async Task An_invite_is_read_from_standard_input_and_rejected_on_the_command_line()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var (annas, bens) = (Environment(anna, "anna"), Environment(ben, "ben"));
        await SignInAsync(anna, annas);
        await SignInAsync(ben, bens);
        var (_, invite, _) = await RunAsync(["create", "Tea", ben.Username], annas);

        var (code, _, error) = await RunAsync(["join", invite.Trim()], bens, invite);
        Assert.Equal(1, code);
        Assert.Contains("Run 'secmsg join' and paste the invite, or pipe it in.", error, StringComparison.Ordinal);
        Assert.DoesNotContain(invite.Trim(), error, StringComparison.Ordinal);

        (code, _, error) = await RunAsync(["join"], bens, "\n \n");
        Assert.Equal((1, "There is no invite on standard input."), (code, error.Trim()));
        (code, _, error) = await RunAsync(["join"], bens, "secmsg-nonsense\n");
        Assert.Equal(1, code);
        Assert.StartsWith("This is not an invite.", error, StringComparison.Ordinal);

        (code, var output, error) = await RunAsync(["join"], bens, $"\n{invite}\n");
        Assert.True(code == 0, error);
        Assert.StartsWith("You are in Tea.", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rejected_line_is_named_and_sets_the_exit_status()
    {
        await using var anna = await server.SignUpAsync();
        var environment = Environment(anna, "anna");
        await SignInAsync(anna, environment);
        await RunAsync(["create", "Tea"], environment);
        var (code, output, error) = await RunAsync(
            ["chat", "Tea", "--exit-on-eof"], environment, "one\n\n" + new string('x', SharedKeyCipher.MaxContentBytes + 1) + "\nfour\n");
        Assert.Equal((1, "Not sent: line 3 of the input."), (code, error.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1]));
        Assert.Contains("Line 3 was not sent (\"xxxxx", output, StringComparison.Ordinal);
        Assert.Contains("four", output, StringComparison.Ordinal);

        (code, output, error) = await RunAsync(["chat", "Tea", "--exit-on-eof"], environment, "five\n");
        Assert.True(code == 0, error);
        Assert.Contains("five", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("logs")]
    [InlineData("chat")]
    public async Task An_endless_command_ends_when_its_output_pipe_closes(string command)
    {
        await using var own = await server.DedicatedAsync();
        await using var anna = await own.SignUpAdminAsync();
        var environment = Environment(anna, "anna");
        await SignInAsync(anna, environment, own);
        await RunAsync(["create", "Tea"], environment);
        using var process = Programs.Start(Secmsg, command == "chat" ? ["chat", "Tea"] : ["logs"], environment);
        if (command == "logs")
            Assert.Equal("(following)", await process.StandardError.ReadLineAsync().WaitAsync(ServerStart.Patience));
        else
            Assert.NotNull(await process.StandardOutput.ReadLineAsync().WaitAsync(ServerStart.Patience));
        process.StandardOutput.Close();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(0, process.ExitCode);
    }

    [Fact]
    public async Task Plain_http_to_another_machine_needs_an_option()
    {
        await using var anna = await server.SignUpAsync();
        var environment = Environment(anna, "anna");
        var (code, _, error) = await RunAsync(["sign-in", anna.Username, "--server", "http://chat.example.org"], environment);
        Assert.Equal(1, code);
        Assert.Contains("--allow-unencrypted-http", error, StringComparison.Ordinal);
        // With the option it connects; this host has no address.
        (code, _, error) = await RunAsync(["sign-in", anna.Username, "--server", "http://chat.invalid", "--allow-unencrypted-http"], environment);
        Assert.Equal(1, code);
        Assert.StartsWith("The server cannot be reached at http://chat.invalid/: ", error, StringComparison.Ordinal);
    }

    public void Dispose() => directory.Dispose();

    private static Task<(int ExitCode, string Output, string Error)> RunAsync(string[] arguments, Dictionary<string, string?> environment, string input = "") =>
        Programs.RunAsync(Secmsg, arguments, environment, input);

    private Dictionary<string, string?> Environment(TestUser user, string profile) =>
        new() { ["XDG_DATA_HOME"] = directory.Path, ["SECMSG_PASSWORD"] = user.Password, ["SECMSG_PROFILE"] = profile };

    private async Task SignInAsync(TestUser user, Dictionary<string, string?> environment, TestServer? on = null)
    {
        var (code, _, error) = await RunAsync(["sign-in", user.Username, "--server", (on ?? server).Url.ToString()], environment);
        Assert.True(code == 0, error);
    }
}
