using Dapper;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

[Trait("Ring", "Full")]
public sealed class MigrationTests(SqliteServer sqlite, PostgresServer postgres)
{
    private const int Nodes = 8;

    [Fact]
    public async Task Schema_is_the_snapshot() =>
        Snapshot.Matches(await SchemaDump.ReadAsync(postgres.PostgresConnection!), "db", "schema.sql");

    [Fact]
    public async Task Both_engines_have_the_same_tables_columns_and_indexes()
    {
        var onPostgres = await postgres.RowsAsync<string>("""
            select table_name || '.' || column_name || case is_nullable when 'YES' then ' null' else '' end
            from information_schema.columns where table_schema = 'public' and table_name <> 'schemaversions'
            union all select 'index ' || indexname from pg_indexes where schemaname = 'public' and indexname not like '%_pkey' and tablename <> 'schemaversions'
            """);
        var onSqlite = await sqlite.RowsAsync<string>("""
            select t.name || '.' || c.name || case when c."notnull" or c.pk then '' else ' null' end
            from sqlite_master t, pragma_table_info(t.name) c where t.type = 'table' and lower(t.name) <> 'schemaversions' and t.name not like 'sqlite_%'
            union all select 'index ' || name from sqlite_master where type = 'index' and name not like 'sqlite_%'
            """);
        Assert.NotEmpty(onPostgres);
        Assert.Equal(onPostgres.Order(StringComparer.Ordinal), onSqlite.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Eight_nodes_migrate_at_once_twenty_times()
    {
        for (var round = 0; round < 20; round++)
        {
            var connection = await TestPostgres.CreateDatabaseAsync();
            await Task.WhenAll(Enumerable.Range(0, Nodes).Select(_ => Task.Factory.StartNew(
                () => new PostgresDatabase(connection).Migrate(NullLogger.Instance), CancellationToken.None, TaskCreationOptions.LongRunning,
                TaskScheduler.Default)));
            await AssertEachScriptRanOnceAsync(connection);
            await TestPostgres.DropDatabaseAsync(connection);
        }
    }

    [Fact]
    public async Task Eight_processes_migrate_at_once_and_one_of_them_dies()
    {
        var connection = await TestPostgres.CreateDatabaseAsync();
        using var directory = new TestDirectory();
        var keys = directory.Combine("keys");
        var nodes = Enumerable.Range(0, Nodes).Select(i => new ServerProcess(directory.Combine($"node{i}"), connection, $"--Server:KeyDirectory={keys}"))
            .ToArray();
        try
        {
            foreach (var node in nodes)
                node.Launch();
            await ConnectedAsync(connection);
            await nodes[0].KillAsync();
            await Task.WhenAll(nodes.Skip(1).Select(node => node.ReadyAsync()));
            await AssertEachScriptRanOnceAsync(connection);
        }
        finally
        {
            foreach (var node in nodes)
                await node.DisposeAsync();
            await TestPostgres.DropDatabaseAsync(connection);
        }
    }

    [Fact]
    public async Task After_a_death_during_a_migration_the_next_node_continues()
    {
        var connection = await TestPostgres.CreateDatabaseAsync();
        // Replaces the dead node: it holds the same lock, whose key is equal in all versions.
        await using var holder = new NpgsqlConnection(connection);
        await holder.OpenAsync();
        await holder.ExecuteAsync("select pg_advisory_lock(x'5365637572654D73'::bigint)");
        var migration = Task.Run(() => new PostgresDatabase(connection).Migrate(NullLogger.Instance));
        await Task.Delay(500);
        Assert.False(migration.IsCompleted, "The migration did not wait for the lock.");

        await using (var killer = new NpgsqlConnection(TestPostgres.Instance))
            await killer.ExecuteAsync("select pg_terminate_backend(@pid)", new { pid = holder.ProcessID });
        await migration.WaitAsync(TimeSpan.FromSeconds(10));
        await AssertEachScriptRanOnceAsync(connection);
        await TestPostgres.DropDatabaseAsync(connection);
    }

    [Fact]
    public void Migrating_the_embedded_database_again_changes_nothing()
    {
        using var directory = new TestDirectory();
        Directories.CreatePrivate(directory.Path);
        var path = directory.Combine("again.db");
        for (var start = 0; start < 3; start++)
            new SqliteDatabase(path).Migrate(NullLogger.Instance);
        using var connection = new SqliteConnection($"Data Source={path};Pooling=False");
        Assert.Equal(Scripts("sqlite"), connection.Query<string>("select ScriptName from SchemaVersions order by 1"));
    }

    [Fact]
    public void Both_engines_have_the_same_scripts() => Assert.Equal(
        Scripts("postgres").Select(Path.GetFileName), Scripts("sqlite").Select(Path.GetFileName));

    private static async Task AssertEachScriptRanOnceAsync(string connectionString)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        Assert.Equal(Scripts("postgres"), await connection.QueryAsync<string>("select scriptname from schemaversions order by 1"));
    }

    private static async Task ConnectedAsync(string connectionString)
    {
        await using var connection = new NpgsqlConnection(TestPostgres.Instance);
        var database = new NpgsqlConnectionStringBuilder(connectionString).Database;
        for (var attempt = 0; attempt < 600; attempt++)
        {
            if (await connection.ExecuteScalarAsync<long>("select count(*) from pg_stat_activity where datname = @database", new { database }) > 0)
                return;
            await Task.Delay(20);
        }

        Assert.Fail("No node came to the database.");
    }

    private static IEnumerable<string> Scripts(string engine) =>
        Directory.GetFiles(Repository.PathOf("db", engine), "*.sql").Select(file => $"{engine}/{Path.GetFileName(file)}").Order(StringComparer.Ordinal);
}
