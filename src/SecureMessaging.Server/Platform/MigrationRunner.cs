using System.Reflection;
using DbUp.Builder;

namespace SecureMessaging.Server.Platform;

/// <summary>Runs the numbered scripts of <c>db/</c> that are embedded in this assembly, each in a transaction of its own, forward only.</summary>
internal static partial class MigrationRunner
{
    public static void Run(UpgradeEngineBuilder engine, string folder, ILogger logger)
    {
        var result = engine
            .WithScriptsEmbeddedInAssembly(Assembly.GetExecutingAssembly(), name => name.StartsWith(folder, StringComparison.Ordinal))
            .WithTransactionPerScript()
            .LogToNowhere()
            .Build()
            .PerformUpgrade();
        if (!result.Successful)
            throw new InvalidOperationException($"Migration {result.ErrorScript?.Name} failed.", result.Error);
        foreach (var script in result.Scripts)
            Migrated(logger, script.Name);
    }

    [LoggerMessage(1001, LogLevel.Information, "Migration {Script} applied")]
    private static partial void Migrated(ILogger logger, string script);
}
