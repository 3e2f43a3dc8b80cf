using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.MainJob;

/// <summary>Alone on the machine: it starts 20 processes.</summary>
[CollectionDefinition(nameof(MainJobTests), DisableParallelization = true)]
public sealed class MainJobTests
{
}

/// <summary>Hazards 6, 7 and 8 at once: what was acknowledged is there, once, in order, whatever happened to the server.</summary>
[Collection(nameof(MainJobTests))]
public sealed class MainJobOnSqlite
{
    [Fact]
    public Task Nothing_acknowledged_is_lost_when_the_server_is_killed() => MainJobRun.RunAsync("SQLite", null);
}

/// <inheritdoc cref="MainJobOnSqlite"/>
[Collection(nameof(MainJobTests))]
public sealed class MainJobOnPostgres
{
    [Fact]
    public async Task Nothing_acknowledged_is_lost_when_the_server_is_killed()
    {
        var connection = await TestPostgres.CreateDatabaseAsync();
        await MainJobRun.RunAsync("Postgres", connection);
        await TestPostgres.DropDatabaseAsync(connection);
    }
}
