using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Auth;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Admin;

[Trait("Ring", "Full")]
public sealed class AdminCommandTests
{
    private const string Password = "a long enough password";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_command_line_creates_an_administrator(bool postgres)
    {
        using var directory = new TestDirectory();
        var database = postgres ? await TestPostgres.CreateDatabaseAsync() : "";
        try
        {
            var (code, output, error) = await RunAsync(["admin", "create", "Root", "root@example.org"], directory.Path, database, Password);
            Assert.True(code == 0, error);
            Assert.Contains("root is an administrator", output, StringComparison.Ordinal);
            Assert.DoesNotContain(Password, output + error, StringComparison.Ordinal);

            foreach (var password in new[] { Password, "another long password" })
            {
                (code, _, error) = await RunAsync(["admin", "create", "root", "other@example.org"], directory.Path, database, password);
                Assert.Equal((1, "The user root already exists."), (code, error[..29]));
            }

            (code, _, error) = await RunAsync(["admin", "create", "second", "second@example.org"], directory.Path, database, "", input: Password + "\n");
            Assert.True(code == 0, error);
            await using var server = new ServerProcess(directory.Path, database);
            await server.StartAsync();
            using var http = new HttpClient { BaseAddress = server.Url };
            foreach (var name in new[] { "root", "second" })
            {
                var tokens = await (await http.SignInAsync(name, Password)).ReadAsync<TokenResponse>();
                using var me = await http.SendAsync(HttpMethod.Get, "/v1/me", tokens.AccessToken);
                Assert.Equal("admin", (await me.Content.ReadFromJsonAsync<Profile>(Wire.Json))!.Role);
                using var stats = await http.SendAsync(HttpMethod.Get, "/v1/admin/stats", tokens.AccessToken);
                Assert.Equal(200, (int)stats.StatusCode);
            }
        }
        finally
        {
            if (postgres)
                await TestPostgres.DropDatabaseAsync(database);
        }
    }

    [Theory]
    [InlineData("Usage: admin create", "admin", "create", "root")]
    [InlineData("Usage: admin create", "admin", "create", "--Server:NodeName=x", "root@example.org")]
    [InlineData("Verbs: serve", "admin", "remove", "root")]
    [InlineData("Verbs: serve", "sevre")]
    [InlineData("username must have", "admin", "create", "r", "root@example.org")]
    [InlineData("email must be an e-mail address", "admin", "create", "root", "nothing")]
    [InlineData("The password is missing", "admin", "create", "root", "root@example.org")]
    public async Task A_failed_command_prints_one_sentence(string sentence, params string[] arguments)
    {
        using var directory = new TestDirectory();
        var (code, _, error) = await RunAsync(arguments, directory.Path, "", "");
        Assert.Equal(1, code);
        Assert.StartsWith(sentence, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Migrate_exits_after_the_migration()
    {
        using var directory = new TestDirectory();
        var (code, output, error) = await RunAsync(["migrate"], directory.Path, "", "");
        Assert.True(code == 0, error);
        Assert.EndsWith("The database is up to date.\n", output, StringComparison.Ordinal);
    }

    private static Task<(int ExitCode, string Output, string Error)> RunAsync(
        string[] arguments, string directory, string database, string password, string input = "") =>
        Programs.RunAsync(
            Repository.BuiltAssembly("src/SecureMessaging.Server"),
            arguments,
            new()
            {
                ["Server__DataDirectory"] = directory,
                ["ConnectionStrings__Postgres"] = database,
                ["SECUREMESSAGING_ADMIN_PASSWORD"] = password,
            },
            input);
}
