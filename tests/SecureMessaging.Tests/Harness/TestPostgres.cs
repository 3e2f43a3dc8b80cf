using Npgsql;

namespace SecureMessaging.Tests.Harness;

/// <summary>New databases on the Postgres instance of <c>tests/run.sh</c>.</summary>
internal static class TestPostgres
{
    private const string Variable = "SECUREMESSAGING_TEST_POSTGRES";

    /// <summary>Connection string of a superuser on the instance.</summary>
    public static string Instance => Environment.GetEnvironmentVariable(Variable) ?? throw new InvalidOperationException(Missing);

    /// <summary>The reason if there is none.</summary>
    public static string? Missing =>
        Environment.GetEnvironmentVariable(Variable) is null ? $"{Variable} is not set: this test needs a Postgres, which tests/run.sh starts." : null;

    public static async Task<string> CreateDatabaseAsync()
    {
        var name = $"test_{Guid.NewGuid():N}";
        await ExecuteAsync($"create database {name}");
        // On a busy machine an answer may take longer than the server waits by default. Then it would refuse what the test expects.
        return new NpgsqlConnectionStringBuilder(Instance) { Database = name, Timeout = 60, CommandTimeout = 60 }.ToString();
    }

    public static async Task DropDatabaseAsync(string connectionString)
    {
        NpgsqlConnection.ClearPool(new NpgsqlConnection(connectionString));
        await ExecuteAsync($"drop database if exists {new NpgsqlConnectionStringBuilder(connectionString).Database} with (force)");
    }

    private static async Task ExecuteAsync(string sql)
    {
        await using var source = NpgsqlDataSource.Create(Instance);
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
