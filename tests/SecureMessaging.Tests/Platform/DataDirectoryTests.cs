using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Keys;
using SecureMessaging.Server.Platform.Startup;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>Files in the data directory are readable only by the server's account, differ on every server, and have one owner.</summary>
[Trait("Ring", "Full")]
public abstract class DataDirectoryTests(TestServer server)
{
    private const UnixFileMode OwnerOnlyDirectory = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode OwnerOnlyFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    [Fact]
    public async Task Data_directory_is_private_to_the_servers_account()
    {
        await using var fresh = await server.DedicatedAsync();
        Assert.NotEmpty(SecretsOf(fresh));
        Assert.Equal(OwnerOnlyDirectory, File.GetUnixFileMode(fresh.DataDirectory));
        foreach (var directory in Directory.GetDirectories(fresh.DataDirectory, "*", SearchOption.AllDirectories))
            Assert.True(File.GetUnixFileMode(directory) == OwnerOnlyDirectory, $"{directory} has {File.GetUnixFileMode(directory)}");
        foreach (var file in Directory.GetFiles(fresh.DataDirectory, "*", SearchOption.AllDirectories))
            Assert.True(File.GetUnixFileMode(file) == OwnerOnlyFile, $"{file} has {File.GetUnixFileMode(file)}");
    }

    [Fact]
    public async Task No_two_servers_have_the_same_secret()
    {
        await using var one = await server.DedicatedAsync();
        await using var other = await server.DedicatedAsync();
        Assert.NotEqual(SecretsOf(one), SecretsOf(other));
    }

    [Fact]
    public async Task A_server_keeps_its_secret_across_restarts()
    {
        await using var fresh = await server.DedicatedAsync();
        var before = SecretsOf(fresh);
        await fresh.RestartAsync();
        Assert.Equal(before, SecretsOf(fresh));
    }

    private static byte[] SecretsOf(TestServer server) => ((ServerSecret)server.Services.GetService(typeof(ServerSecret))!).DeriveKey("test");
}

public sealed class DataDirectoryTestsOnSqlite(SqliteServer server) : DataDirectoryTests(server)
{
    [Fact]
    public async Task A_second_server_on_the_same_directory_does_not_start()
    {
        using var directory = new TestDirectory();
        await using var first = new ServerProcess(directory.Path);
        await using var second = new ServerProcess(directory.Path);
        await first.StartAsync();
        second.Launch();
        await second.ExitedAsync();
        Assert.NotEqual(0, second.ExitCode);
        Assert.Contains(second.Output, line => line.StartsWith("Another server is already using the data directory", StringComparison.Ordinal)
            && line.Contains(directory.Path, StringComparison.Ordinal));
        Assert.DoesNotContain(second.Output, line => line.StartsWith("   at ", StringComparison.Ordinal));

        await first.KillAsync();
        await second.StartAsync();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(31)]
    [InlineData(32)]
    public void An_invalid_secret_is_rejected(int length)
    {
        using var directory = new TestDirectory();
        var options = new ServerOptions { DataDirectory = directory.Path };
        Directory.CreateDirectory(options.EffectiveKeyDirectory);
        File.WriteAllBytes(Path.Combine(options.EffectiveKeyDirectory, "server.secret"), new byte[length]);
        var refusal = Assert.Throws<StartException>(() => new ServerSecret(Options.Create(options)));
        Assert.Contains("server.secret must hold 32 random bytes", refusal.Message, StringComparison.Ordinal);
    }
}

public sealed class DataDirectoryTestsOnPostgres(PostgresServer server) : DataDirectoryTests(server);
