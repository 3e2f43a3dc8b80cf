using System.ComponentModel.DataAnnotations;
using System.Data.Common;
using Dapper;
using DbUp;
using Npgsql;

namespace SecureMessaging.Server.Platform;

/// <summary>Postgres through Npgsql: the engine for production and for more than one node.</summary>
internal sealed class PostgresDatabase(string connectionString, PostgresOptions? options = null, DatabaseTrouble? trouble = null)
    : Database(CreateSource(connectionString, options ?? new PostgresOptions()), trouble)
{
    // Any number; all nodes must agree on it.
    private const long MigrationLock = 0x5365_6375_7265_4D73;

    /// <summary>Without those that Postgres keeps for superusers.</summary>
    public const string AllowedConnectionsSql =
        "select current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer";

    // A pool goes round all of its sessions. This one stays warm, with one plan for what it does over and over, and that by index however small the tables were.
    private const string WriterSettings = "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_bitmapscan = off";

    /// <summary>One writes, one more is opened when that has broken.</summary>
    private const int WriterConnections = 2;

    private readonly NpgsqlDataSource writer = CreateWriterSource(connectionString, options ?? new PostgresOptions());

    /// <summary>Connections that this node may hold open at one time.</summary>
    public int Connections { get; } = Settings(connectionString, options ?? new PostgresOptions()).MaxPoolSize + WriterConnections;

    public override bool IsPostgres => true;

    public override bool IsUniqueViolation(Exception exception) => exception is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation };

    // Class 22: the values; 23502 and 23514: what a row must be. A key that is taken says more about other rows than about this one.
    public override bool IsRefusalOfValues(Exception exception) => exception is PostgresException { SqlState: ['2', '2', ..] or PostgresErrorCodes.NotNullViolation or PostgresErrorCodes.CheckViolation };

    protected override bool IsOutage(Exception exception) => exception is TimeoutException
        || exception is OperationCanceledException
        || exception is NpgsqlException { IsTransient: true }
        || (exception is NpgsqlException and not PostgresException)
        // 53: out of a resource such as disk; 57: the server is stopping or starting; 25006: a standby; 28: it lets us in no more; 3D000: the database is gone.
        || exception is PostgresException { SqlState: ['5', '3', ..] or ['5', '7', ..] or ['2', '8', ..] or "25006" or "3D000" };

    protected override string? WhyUnwritable(Exception exception) => exception switch
    {
        PostgresException { SqlState: PostgresErrorCodes.DiskFull } => DatabaseTrouble.DiskFull,
        PostgresException { SqlState: PostgresErrorCodes.ReadOnlySqlTransaction } => DatabaseTrouble.ReadOnly,
        _ => null,
    };

    protected override (string Cause, string Text) Describe(Exception exception) => exception switch
    {
        PostgresException refusal => ($"Postgres {refusal.SqlState}", refusal.MessageText),
        NpgsqlException { InnerException: { } inner } failure => (inner.GetType().Name, $"{failure.Message}: {inner.Message}"),
        _ => base.Describe(exception),
    };

    protected override bool IsConflict(Exception exception) =>
        exception is PostgresException { SqlState: PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure };

    public override async Task<bool> TryLockAsync(DbTransaction transaction, long key, CancellationToken cancellationToken) =>
        await transaction.QuerySingleAsync<bool>("select pg_try_advisory_xact_lock(@Key)", new { Key = key }, cancellationToken);

    public override string AnyOf(string parameter) => $"= any(@{parameter})";

    public override object ListOf(IEnumerable<Guid> ids) => ids.ToArray();

    public override object ListOf(IEnumerable<byte[]> values) => values.ToArray();

    public override void Migrate(ILogger logger)
    {
        try
        {
            MigrateUnderLock(logger);
        }
        catch (NpgsqlException exception)
        {
            throw new StartException($"Postgres cannot be used: {exception.Message} Check ConnectionStrings:Postgres.", exception);
        }
    }

    private void MigrateUnderLock(ILogger logger)
    {
        using var holder = new NpgsqlConnection(connectionString);
        holder.Open();
        // Polling a try-lock: a waiting pg_advisory_lock would hold a snapshot that "create index concurrently" waits for.
        while (!TryLock(holder))
        {
        }

        MigrationRunner.Run(DeployChanges.To.PostgresqlDatabase(connectionString), "postgres/", logger);
        using var unlock = new NpgsqlCommand("select pg_advisory_unlock(@key)", holder) { Parameters = { new("key", MigrationLock) } };
        unlock.ExecuteNonQuery();
        var allowed = holder.QuerySingle<int>(AllowedConnectionsSql);
        if (Connections > allowed)
        {
            throw new StartException(
                $"This node may open {Connections} connections, and Postgres allows {allowed} to all: "
                + $"lower Postgres:PoolSize ({Connections - WriterConnections}; {WriterConnections} are the writer's), or raise max_connections.");
        }
    }

    private static bool TryLock(NpgsqlConnection connection)
    {
        // The server sleeps for us, so that a waiting node costs nothing.
        using var command = new NpgsqlCommand("select case when pg_try_advisory_lock(@key) then true else pg_sleep(0.1) is null end", connection) { Parameters = { new("key", MigrationLock) } };
        return command.ExecuteScalar() is true;
    }

    public override async ValueTask DisposeAsync()
    {
        await writer.DisposeAsync();
        await base.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    protected override DbConnection Open() => writer.OpenConnection();

    private static NpgsqlDataSource CreateSource(string connectionString, PostgresOptions options) =>
        NpgsqlDataSource.Create(Settings(connectionString, options));

    private static NpgsqlDataSource CreateWriterSource(string connectionString, PostgresOptions options)
    {
        var builder = new NpgsqlDataSourceBuilder(Settings(connectionString, options).ToString());
        builder.ConnectionStringBuilder.MinPoolSize = 1;
        builder.ConnectionStringBuilder.MaxPoolSize = WriterConnections;
        // A batch in a few turns to the socket, each of which wakes the other side.
        builder.ConnectionStringBuilder.WriteBufferSize = Math.Max(builder.ConnectionStringBuilder.WriteBufferSize, 64 * 1024);
        builder.UsePhysicalConnectionInitializer(
            connection => connection.Execute(WriterSettings),
            connection => connection.ExecuteAsync(WriterSettings));
        return builder.Build();
    }

    private static NpgsqlConnectionStringBuilder Settings(string connectionString, PostgresOptions options)
    {
        var builder = Parse(connectionString);
        builder.ApplicationName = "secure-messaging";
        builder.IncludeErrorDetail = false;
        builder.Timezone = "UTC";
        // Nothing here changes what a session is set to, and forgetting it would cost seven statements each time that a connection is taken from the pool.
        builder.NoResetOnClose = true;
        if (!Given(builder, connectionString, "Max Auto Prepare")) builder.MaxAutoPrepare = 50;
        if (!Given(builder, connectionString, "Timeout")) builder.Timeout = 4;
        if (!Given(builder, connectionString, "Command Timeout")) builder.CommandTimeout = CommandTimeoutSeconds;
        // A database that answers nothing does not answer a cancellation either; waiting for it would only add to the wait.
        if (!Given(builder, connectionString, "Cancellation Timeout")) builder.CancellationTimeout = 250;
        if (!Given(builder, connectionString, "Maximum Pool Size")) builder.MaxPoolSize = options.PoolSize;
        return builder;
    }

    private static NpgsqlConnectionStringBuilder Parse(string connectionString)
    {
        try
        {
            var builder = new NpgsqlConnectionStringBuilder(connectionString);
            return string.IsNullOrWhiteSpace(builder.Host) ? throw new ArgumentException("Host is missing.", nameof(connectionString)) : builder;
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or KeyNotFoundException)
        {
            throw new StartException("ConnectionStrings:Postgres is not a connection string such as Host=db;Username=sm;Password=…;Database=sm", exception);
        }
    }

    private static bool Given(NpgsqlConnectionStringBuilder builder, string connectionString, string keyword) =>
        new DbConnectionStringBuilder { ConnectionString = connectionString }.ContainsKey(keyword) && builder.ContainsKey(keyword);
}

/// <summary>How Postgres is used. Section <c>Postgres</c>; where it is, says <c>ConnectionStrings:Postgres</c>.</summary>
internal sealed class PostgresOptions
{
    public const string Section = "Postgres";

    /// <summary>
    /// Connections that a node holds at most, besides two of its writer. All nodes together, and what else uses the database, must stay below its
    /// <c>max_connections</c>. A <c>Maximum Pool Size</c> in the connection string counts instead.
    /// </summary>
    [Range(2, 10_000)]
    public int PoolSize { get; set; } = 24;
}
