namespace SecureMessaging.Tests.Harness;

/// <summary>The real server on the embedded engine.</summary>
public sealed class SqliteServer : TestServer
{
    public SqliteServer()
    {
    }

    private SqliteServer(bool dedicated)
        : base(dedicated)
    {
    }

    public override string Engine => "SQLite";

    public override string? PostgresConnection => null;

    protected override Task CreateDatabaseAsync() => Task.CompletedTask;

    protected override Task DropDatabaseAsync() => Task.CompletedTask;

    protected override TestServer CreateDedicated(TestServer? sharing) => sharing is null
        ? new SqliteServer(dedicated: true)
        : throw new InvalidOperationException("One process owns a SQLite file; test several nodes on Postgres.");
}

/// <summary>The real server on its own database in the Postgres instance of <c>tests/run.sh</c>.</summary>
public sealed class PostgresServer : TestServer
{
    private readonly bool ownsDatabase = true;
    private string? connection;

    public PostgresServer()
    {
    }

    private PostgresServer(string? connection)
        : base(dedicated: true)
    {
        this.connection = connection;
        ownsDatabase = connection is null;
    }

    public override string Engine => "Postgres";

    public override string? PostgresConnection => connection;

    protected override string? Missing => TestPostgres.Missing;

    protected override async Task CreateDatabaseAsync() => connection ??= await TestPostgres.CreateDatabaseAsync();

    protected override Task DropDatabaseAsync() => ownsDatabase && connection is not null ? TestPostgres.DropDatabaseAsync(connection) : Task.CompletedTask;

    protected override TestServer CreateDedicated(TestServer? sharing) => new PostgresServer(sharing?.PostgresConnection);
}
