using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform.Startup;

namespace SecureMessaging.Server.Platform.Data;

/// <summary>The database of the node: SQLite in the data directory, or Postgres.</summary>
internal static class DatabaseFeature
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    public static void AddDatabase(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<PostgresOptions>().BindConfiguration(PostgresOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<DatabaseTrouble>();
        services.AddSingleton(CreateDatabase);
        services.AddHealthChecks().AddCheck<DatabaseCheck>("database", timeout: Patience);
        DapperTypes.Register();
    }

    private static Database CreateDatabase(IServiceProvider services)
    {
        var postgres = services.GetRequiredService<IConfiguration>().GetConnectionString("Postgres");
        if (string.IsNullOrWhiteSpace(postgres) && !string.IsNullOrWhiteSpace(services.GetRequiredService<IConfiguration>().GetConnectionString("Redis")))
        {
            throw new StartException(
                "ConnectionStrings:Redis makes this server one of several nodes, which must share a database and keys: set ConnectionStrings:Postgres, "
                + "and set Server:KeyDirectory to a directory that all nodes use.");
        }

        var directory = services.GetRequiredService<IOptions<ServerOptions>>().Value.DataDirectory;
        try
        {
            Directories.CreatePrivate(directory);
            return string.IsNullOrWhiteSpace(postgres) ? OpenEmbedded(services, directory) : new PostgresDatabase(
                postgres, services.GetRequiredService<IOptions<PostgresOptions>>().Value, services.GetRequiredService<DatabaseTrouble>());
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StartException(
                $"The data directory {directory} cannot be used: {exception.Message} Choose another with --Server:DataDirectory=PATH.", exception);
        }
    }

    private static SqliteDatabase OpenEmbedded(IServiceProvider services, string directory)
    {
        var path = Path.Combine(directory, "secure-messaging.db");
        var ownership = new DataDirectoryLock(directory);
        // SQLite itself would make the file readable by all users. Its -wal file gets the same mode.
        if (!File.Exists(path))
            Directories.TryCreatePrivateFile(path, []);
        return new SqliteDatabase(path, ownership, services.GetRequiredService<TimeProvider>(), services.GetRequiredService<DatabaseTrouble>());
    }

    private sealed class DatabaseCheck(Database database, TimeProvider time) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            try
            {
                // Some network failures neither answer nor react to cancellation.
                await database.ProbeAsync(cancellationToken).WaitAsync(Patience, time, cancellationToken);
                if (database.Trouble.Unwritable is { } why)
                    return HealthCheckResult.Unhealthy(why);
                return database.Trouble.Blocked is { } blocked ? HealthCheckResult.Degraded(blocked) : HealthCheckResult.Healthy();
            }
            catch (Exception exception) when (exception is ApiException or TimeoutException or OperationCanceledException)
            {
                return HealthCheckResult.Unhealthy(database.Trouble.Unwritable ?? "The database does not answer.");
            }
        }
    }
}
