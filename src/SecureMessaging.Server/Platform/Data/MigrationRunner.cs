using System.Reflection;
using DbUp.Builder;
using Npgsql;
using SecureMessaging.Server.Platform.Startup;

namespace SecureMessaging.Server.Platform.Data;

/// <summary>Runs the embedded, numbered scripts of <c>db/</c>, forward only. Each script is one transaction.</summary>
internal static partial class MigrationRunner
{
    public static void Run(UpgradeEngineBuilder engine, string folder, ILogger logger)
    {
        var upgrade = engine
            .WithScriptsEmbeddedInAssembly(Assembly.GetExecutingAssembly(), name => name.StartsWith(folder, StringComparison.Ordinal))
            .WithTransactionPerScript()
            .LogToNowhere()
            .Build();
        if (upgrade.GetExecutedButNotDiscoveredScripts() is [.., var newer])
        {
            throw new StartException(
                $"The database was migrated by a newer version of the server ({newer}), and this is {ServerVersion.Current}. "
                + "Run that version, or restore a backup from before.");
        }

        var result = upgrade.PerformUpgrade();
        if (!result.Successful)
        {
            throw new StartException(
                $"Migration {result.ErrorScript?.Name ?? "of the database"} failed: {result.Error?.Message}{Remedy(result.Error)}", result.Error);
        }

        foreach (var script in result.Scripts)
            Migrated(logger, script.Name);
    }

    private static string Remedy(Exception? cause) => cause is PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege }
        ? ". Since Postgres 15 only the owner of a database may create tables in it: "
            + "alter database NAME owner to ROLE, or grant create on schema public to ROLE"
        : "";

    [LoggerMessage(1001, LogLevel.Information, "Migration {Script} applied")]
    private static partial void Migrated(ILogger logger, string script);
}
