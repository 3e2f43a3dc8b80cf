using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.MainJob;

/// <summary>Runs alone, because it starts 20 processes.</summary>
[CollectionDefinition(nameof(MainJobTests), DisableParallelization = true)]
public sealed class MainJobTests
{
}

/// <summary>Every acknowledged message is stored, once and in order, despite kills of the server.</summary>
[Collection(nameof(MainJobTests))]
[Trait("Ring", "Full")]
public sealed class MainJobOnSqlite
{
    [Fact]
    public Task Nothing_acknowledged_is_lost_when_the_server_is_killed() => MainJobRun.RunAsync("SQLite", null);
}

/// <inheritdoc cref="MainJobOnSqlite"/>
[Collection(nameof(MainJobTests))]
[Trait("Ring", "Full")]
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
