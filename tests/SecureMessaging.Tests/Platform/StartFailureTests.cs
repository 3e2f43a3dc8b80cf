using SecureMessaging.Tests.Admin;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>How the server starts, and what it says when it cannot.</summary>
public sealed class StartFailureTests
{
    /// <summary>No process can create anything in it, not even one of the superuser.</summary>
    private const string NoPlace = "/proc/nowhere";

    [Fact]
    public async Task A_home_directory_is_not_needed_when_the_data_directory_is_given()
    {
        using var directory = new TestDirectory();
        var (code, _, error) = await RunAsync(["migrate", $"--Server:DataDirectory={directory.Path}"], ("HOME", NoPlace), ("XDG_DATA_HOME", null));
        Assert.True(code == 0, error);
    }

    [Fact]
    public async Task Without_a_home_and_without_a_data_directory_the_setting_is_named()
    {
        var (code, _, error) = await RunAsync(["migrate"], ("HOME", NoPlace), ("XDG_DATA_HOME", null));
        Assert.Equal(1, code);
        AssertSentence(error, NoPlace, "Server:DataDirectory");
    }

    [Theory]
    [InlineData("Server:DataDirectory")]
    [InlineData("Server:KeyDirectory")]
    public async Task A_directory_that_cannot_be_used_is_named_with_its_setting(string setting)
    {
        using var directory = new TestDirectory();
        var (code, _, error) = await RunAsync(["serve", "--urls=http://127.0.0.1:0", "--Management:Url=", $"--Server:DataDirectory={directory.Path}", $"--{setting}={NoPlace}"]);
        Assert.Equal(1, code);
        AssertSentence(error, NoPlace, setting);
    }

    private static void AssertSentence(string error, params string[] parts)
    {
        Assert.Single(error.TrimEnd('\n').Split('\n'));
        Assert.DoesNotContain("target of an invocation", error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
        Assert.All(parts, part => Assert.Contains(part, error, StringComparison.Ordinal));
    }

    private static Task<(int ExitCode, string Output, string Error)> RunAsync(string[] arguments, params (string Name, string? Value)[] environment) =>
        Programs.RunAsync(Repository.BuiltAssembly("src/SecureMessaging.Server"), arguments, environment.ToDictionary(pair => pair.Name, pair => pair.Value));
}
