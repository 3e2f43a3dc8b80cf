using System.ComponentModel.DataAnnotations;
using System.Data.Common;
using Dapper;
using DbUp;
using Npgsql;

namespace SecureMessaging.Server.Platform.Data;

/// <summary>Postgres through Npgsql: the engine for production and for several nodes.</summary>
internal sealed class PostgresDatabase(string connectionString, PostgresOptions? options = null, DatabaseTrouble? trouble = null)
    : Database(CreateSource(connectionString, options ?? new PostgresOptions()), trouble)
{
    // Arbitrary, but the same on all nodes.
    private const long MigrationLock = 0x5365_6375_7265_4D73;

    /// <summary>Connections that Postgres allows, without those reserved for superusers.</summary>
    public const string AllowedConnectionsSql =
        "select current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer";

    // The writer has its own session: a pool rotates through all of its sessions. This one keeps its prepared plans, which use indexes also while
    // tables are small.
    private const string WriterSettings = "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_bitmapscan = off";

    /// <summary>One for the writer, and one that replaces it after a failure.</summary>
    private const int WriterConnections = 2;

    // Behind a long statement the rewrite gives up after this time, because all statements that come later wait behind it.
    private const string RewriterSettings = "set lock_timeout = '3s'";

    private const int RewriteAttempts = 20;

    private const string TablesSql = "select quote_ident(tablename) from pg_tables where schemaname = current_schema() order by tablename";

    private readonly NpgsqlDataSource writer = CreateWriterSource(connectionString, options ?? new PostgresOptions());

    public int Connections { get; } = Settings(connectionString, options ?? new PostgresOptions()).MaxPoolSize + WriterConnections;

    public override bool IsPostgres => true;

    public override bool IsUniqueViolation(Exception exception) => exception is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation };

    // Class 22: values; 23502 and 23514: row constraints. A duplicate key depends on other rows, so it is not among them.
    public override bool IsRefusalOfValues(Exception exception) => exception is PostgresException
    {
        SqlState: ['2', '2', ..] or PostgresErrorCodes.NotNullViolation or PostgresErrorCodes.CheckViolation,
    };

    protected override bool IsOutage(Exception exception) => exception is TimeoutException
        || exception is OperationCanceledException
        || exception is NpgsqlException { IsTransient: true }
        || (exception is NpgsqlException and not PostgresException)
        // 53: out of a resource such as disk; 57: stopping or starting; 25006: a standby; 28: access denied; 3D000: no such database.
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

    public override string RowsOf(string parameter) => $"""
        (select (value ->> 0)::uuid as id, (value ->> 1)::integer as number, nth - 1 as nth
         from json_array_elements(@{parameter}::json) with ordinality as given (value, nth)) as listed
        """;

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
        // Polls a try-lock: a waiting pg_advisory_lock would hold a snapshot for which "create index concurrently" waits.
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

    /// <remarks>Each table is its own transaction, which holds an exclusive lock on this table for as long as it is copied.</remarks>
    public override async Task RewriteAsync(CancellationToken cancellationToken)
    {
        var settings = Settings(connectionString, new PostgresOptions());
        (settings.CommandTimeout, settings.Pooling) = (0, false);
        await using var connection = new NpgsqlConnection(settings.ToString());
        await connection.OpenAsync(cancellationToken);
        await ExecuteAsync(RewriterSettings);
        foreach (var table in await connection.QueryAsync<string>(TablesSql, null, cancellationToken))
            await RewriteAsync(table);
        // It contains values of columns. Only the owner of the database may rewrite it; for others this is a warning.
        await RewriteAsync("pg_catalog.pg_statistic");
        // The old files have been truncated; a checkpoint removes them.

        async Task RewriteAsync(string table)
        {
            for (var attempt = 1; ; attempt++)
            {
                try
                {
                    await ExecuteAsync($"vacuum (full, analyze) {table}");
                    return;
                }
                catch (PostgresException exception) when (attempt < RewriteAttempts && exception.SqlState == PostgresErrorCodes.LockNotAvailable)
                {
                    await Task.Delay(TimeSpan.FromSeconds(3), cancellationToken);
                }
            }
        }

        async Task ExecuteAsync(string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    private static bool TryLock(NpgsqlConnection connection)
    {
        // The database sleeps between attempts, so a waiting node costs nothing.
        using var command = new NpgsqlCommand("select case when pg_try_advisory_lock(@key) then true else pg_sleep(0.1) is null end", connection)
        {
            Parameters = { new("key", MigrationLock) },
        };
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
        // A batch takes a few writes to the socket. Each write wakes the database.
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
        // No code changes session settings. A reset would cost seven statements each time a connection comes from the pool.
        builder.NoResetOnClose = true;
        if (!Given(builder, connectionString, "Max Auto Prepare")) builder.MaxAutoPrepare = 50;
        if (!Given(builder, connectionString, "Timeout")) builder.Timeout = 4;
        if (!Given(builder, connectionString, "Command Timeout")) builder.CommandTimeout = CommandTimeoutSeconds;
        // A database that does not answer does not answer a cancellation either; waiting for that only adds delay.
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

/// <summary>The use of Postgres. Section <c>Postgres</c>; its address is in <c>ConnectionStrings:Postgres</c>.</summary>
internal sealed class PostgresOptions
{
    public const string Section = "Postgres";

    /// <summary>
    /// The most connections of a node, in addition to two of its writer. All nodes and other users of the database together must stay below its
    /// <c>max_connections</c>. A <c>Maximum Pool Size</c> in the connection string replaces this value.
    /// </summary>
    [Range(2, 10_000)]
    public int PoolSize { get; set; } = 24;
}
