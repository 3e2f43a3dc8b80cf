using Microsoft.Data.Sqlite;
using Npgsql;
using SecureMessaging.Tests.Admin;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>Keys and database belong together; every verb rejects others.</summary>
[Trait("Ring", "Full")]
public sealed class InstallationTests
{
    public static TheoryData<bool> Engines => [false, true];

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Existing_keys_reject_an_empty_database_until_adopted(bool postgres)
    {
        using var place = new Place(postgres);
        await place.NewDatabaseAsync();
        await place.SucceedAsync("migrate");
        await place.SucceedAsync("migrate");
        await place.NewDatabaseAsync();
        foreach (var verb in new[] { "migrate", "serve" })
            await place.RefuseAsync("this database is empty", verb);
        await place.RefuseAsync("this database is empty", "admin", "create", "root", "root@example.org");
        await place.RefuseAsync("this database is empty", "disclose", "root");
        await place.SucceedAsync("adopt-database");
        await place.SucceedAsync("migrate");
        await place.DropAsync();
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Keys_and_database_of_different_installations_are_rejected(bool postgres)
    {
        using var place = new Place(postgres);
        await place.NewDatabaseAsync();
        await place.SucceedAsync("migrate");
        await place.ExecuteAsync(
            postgres ? "update installation set installation_id = gen_random_uuid()" : "update installation set installation_id = randomblob(16)");
        await place.RefuseAsync("different installations", "migrate");
        await place.SucceedAsync("adopt-database");
        await place.SucceedAsync("migrate");

        // Another secret can verify nothing in this database, so the verb does not tie them either.
        Directory.Delete(place.Directory.Combine("keys"), recursive: true);
        foreach (var verb in new[] { "migrate", "adopt-database" })
            await place.RefuseAsync("do not belong to this database", verb);
        await place.RefuseAsync("do not belong to this database", "admin", "create", "root", "root@example.org");
        await place.RefuseAsync("do not belong to this database", "disclose", "root");
        await place.DropAsync();
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task A_database_without_an_id_gets_one(bool postgres)
    {
        using var place = new Place(postgres);
        await place.NewDatabaseAsync();
        await place.SucceedAsync("migrate");
        await place.ExecuteAsync("update installation set installation_id = null");
        File.Delete(place.Directory.Combine("keys/installation.id"));
        await place.SucceedAsync("migrate");
        Assert.True(File.Exists(place.Directory.Combine("keys/installation.id")));
        await place.DropAsync();
    }

    private sealed class Place(bool postgres) : IDisposable
    {
        private readonly List<string> databases = [];

        public TestDirectory Directory { get; } = new();

        public async Task NewDatabaseAsync()
        {
            if (postgres)
            {
                databases.Add(await TestPostgres.CreateDatabaseAsync());
                return;
            }

            System.IO.Directory.CreateDirectory(Directory.Path);
            foreach (var suffix in new[] { "", "-wal", "-shm" })
                File.Delete(Directory.Combine($"secure-messaging.db{suffix}"));
        }

        public async Task ExecuteAsync(string sql)
        {
            await using System.Data.Common.DbConnection connection = postgres
                ? new NpgsqlConnection(databases[^1])
                : new SqliteConnection($"Data Source={Directory.Combine("secure-messaging.db")};Pooling=False");
            await connection.OpenAsync();
            await using var command = connection.CreateCommand();
            command.CommandText = sql;
            Assert.Equal(1, await command.ExecuteNonQueryAsync());
        }

        public async Task SucceedAsync(params string[] arguments)
        {
            var (code, _, error) = await RunAsync(arguments);
            Assert.True(code == 0, error);
        }

        public async Task RefuseAsync(string sentence, params string[] arguments)
        {
            var (code, _, error) = await RunAsync(arguments);
            Assert.Equal(1, code);
            Assert.Contains(sentence, error, StringComparison.Ordinal);
            Assert.Single(error.TrimEnd('\n').Split('\n'));
        }

        public async Task DropAsync()
        {
            foreach (var database in databases)
                await TestPostgres.DropDatabaseAsync(database);
        }

        public void Dispose() => Directory.Dispose();

        private Task<(int ExitCode, string Output, string Error)> RunAsync(string[] arguments) => Programs.RunAsync(
            Repository.BuiltAssembly("src/SecureMessaging.Server"),
            arguments,
            new()
            {
                ["Server__DataDirectory"] = Directory.Path,
                ["ConnectionStrings__Postgres"] = databases.LastOrDefault() ?? "",
                ["SECUREMESSAGING_ADMIN_PASSWORD"] = "a long enough password",
                ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
                ["Management__Url"] = "",
            });
    }
}
