using Microsoft.Data.Sqlite;
using Npgsql;
using SecureMessaging.Server.Platform.Startup;
using SecureMessaging.Tests.Admin;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>The start of the server, and its errors.</summary>
[Trait("Ring", "Full")]
public sealed class StartFailureTests
{
    /// <summary>No process can create a file in it, not even the superuser's.</summary>
    private const string NoPlace = "/proc/nowhere";

    [Fact]
    public async Task With_a_data_directory_no_home_directory_is_needed()
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
    public async Task An_unusable_directory_is_named_with_its_setting(string setting)
    {
        using var directory = new TestDirectory();
        var (code, _, error) = await RunAsync(
            ["serve", "--urls=http://127.0.0.1:0", "--Management:Url=", $"--Server:DataDirectory={directory.Path}", $"--{setting}={NoPlace}"]);
        Assert.Equal(1, code);
        AssertSentence(error, NoPlace, setting);
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("-h")]
    [InlineData("serve", "--help")]
    [InlineData("admin", "create", "--help")]
    public async Task Help_lists_verbs_and_settings_and_starts_nothing(params string[] arguments)
    {
        using var directory = new TestDirectory();
        var (code, output, error) = await RunAsync(arguments, ("Server__DataDirectory", directory.Path));
        Assert.Equal((0, ""), (code, error));
        foreach (var part in new[] { "admin create USERNAME EMAIL", "adopt-database", "Server:DataDirectory", "Server:AllowedOrigins:0…",
            "RateLimits:Sends:Burst", "Postgres:PoolSize", "Logs:Level" })
            Assert.Contains(part, output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(directory.Path));
    }

    [Fact]
    public async Task The_version_is_that_of_the_product()
    {
        var (code, output, _) = await RunAsync(["--version"]);
        Assert.Equal((0, $"secure-messaging {ServerVersion.Current}\n"), (code, output));
        Assert.Contains(
            $"<Version>{ServerVersion.Current}</Version>", await File.ReadAllTextAsync(Repository.PathOf("Directory.Build.props")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Settings_are_read_from_files_and_names_without_effect_are_reported()
    {
        using var directory = new TestDirectory();
        Directory.CreateDirectory(directory.Path);
        var file = directory.Combine("settings.json");
        await File.WriteAllTextAsync(file, $$"""{"Server": {"DataDirectory": "{{directory.Combine("data")}}", "NodeNam": "x"}, "Sever": {"NodeName": "y"} }""");
        var (code, output, error) = await RunAsync(
            ["migrate", "--config", file], ("Server__KeyDirectroy", "/nowhere"), ("Retension__Period", "00:00:01"), ("SOMETHING__ELSE", "1"));
        Assert.True(code == 0, error);
        Assert.True(Directory.Exists(directory.Combine("data")));
        foreach (var line in new[]
        {
            "Server:NodeNam in a file is not a setting of this server and has no effect. Did you mean Server:NodeName?",
            "Sever:NodeName in a file is not a setting",
            "Server:KeyDirectroy in the environment is not a setting of this server and has no effect. Did you mean Server:KeyDirectory?",
            "Retension:Period in the environment is not a setting",
        })
            Assert.Contains(line, output, StringComparison.Ordinal);
        Assert.DoesNotContain("SOMETHING", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_settings_file_that_is_not_JSON_is_reported_in_one_sentence()
    {
        using var directory = new TestDirectory();
        Directory.CreateDirectory(directory.Path);
        var file = directory.Combine("settings.json");
        await File.WriteAllTextAsync(file, "{\"Server\": ");
        var (code, _, error) = await RunAsync(["migrate", $"--config={file}"]);
        Assert.Equal(1, code);
        AssertSentence(error, file);
    }

    [Fact]
    public async Task Appsettings_beside_the_program_apply_in_every_working_directory()
    {
        using var directory = new TestDirectory();
        Directory.CreateDirectory(directory.Path);
        var binaries = Path.GetDirectoryName(Repository.BuiltAssembly("src/SecureMessaging.Server"))!;
        foreach (var part in Directory.GetFiles(binaries))
            File.CreateSymbolicLink(directory.Combine(Path.GetFileName(part)), part);
        foreach (var part in Directory.GetDirectories(binaries))
            Directory.CreateSymbolicLink(directory.Combine(Path.GetFileName(part)), part);
        // The runtime resolves links to find its files, so the program itself is a copy.
        foreach (var part in Directory.GetFiles(directory.Path, "SecureMessaging.Server.*"))
        {
            var target = new FileInfo(part).LinkTarget!;
            File.Delete(part);
            File.Copy(target, part);
        }

        await File.WriteAllTextAsync(directory.Combine("appsettings.json"), $$"""{"Server": {"DataDirectory": "{{directory.Combine("data")}}"} }""");
        var (code, _, error) = await Programs.RunAsync(directory.Combine("SecureMessaging.Server.dll"), ["migrate"], new() { ["HOME"] = NoPlace });
        Assert.True(code == 0, error);
        Assert.True(Directory.Exists(directory.Combine("data")));
    }

    [Fact]
    public async Task A_database_of_a_newer_version_is_rejected()
    {
        using var directory = new TestDirectory();
        var settings = new[] { "migrate", $"--Server:DataDirectory={directory.Path}" };
        Assert.Equal(0, (await RunAsync(settings)).ExitCode);
        await using (var connection = new SqliteConnection($"Data Source={directory.Combine("secure-messaging.db")};Pooling=False"))
        {
            await connection.OpenAsync();
            await using var command = connection.CreateCommand();
            command.CommandText = "insert into SchemaVersions (ScriptName, Applied) values ('sqlite/9999_future.sql', '2030-01-01')";
            await command.ExecuteNonQueryAsync();
        }

        var (code, _, error) = await RunAsync(settings);
        Assert.Equal(1, code);
        AssertSentence(error, "newer version", "9999_future.sql", ServerVersion.Current);
    }

    [Fact]
    public async Task Missing_rights_and_too_many_connections_are_reported_with_their_remedy()
    {
        using var directory = new TestDirectory();
        var database = await TestPostgres.CreateDatabaseAsync();
        var role = $"weak_{Guid.NewGuid():N}";
        try
        {
            await using (var source = NpgsqlDataSource.Create(database))
            {
                await using var command = source.CreateCommand($"create role {role} login password 'weak'");
                await command.ExecuteNonQueryAsync();
            }

            var weak = new NpgsqlConnectionStringBuilder(database) { Username = role, Password = "weak" }.ToString();
            var (code, _, error) = await RunAsync(["migrate", $"--Server:DataDirectory={directory.Path}", $"--ConnectionStrings:Postgres={weak}"]);
            Assert.Equal(1, code);
            AssertSentence(error, "permission denied for schema public", "grant create on schema public");
            (code, _, error) = await RunAsync(
                ["migrate", $"--Server:DataDirectory={directory.Path}", $"--ConnectionStrings:Postgres={database}", "--Postgres:PoolSize=5000"]);
            Assert.Equal(1, code);
            AssertSentence(error, "may open 5002 connections", "Postgres:PoolSize", "max_connections");
        }
        finally
        {
            await TestPostgres.DropDatabaseAsync(database);
            await using var source = NpgsqlDataSource.Create(TestPostgres.Instance);
            await using var command = source.CreateCommand($"drop role if exists {role}");
            await command.ExecuteNonQueryAsync();
        }
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
