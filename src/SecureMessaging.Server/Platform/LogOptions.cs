using Serilog.Events;

namespace SecureMessaging.Server.Platform;

/// <summary>What is logged, and where. Section <c>Logs</c>.</summary>
internal sealed class LogOptions
{
    public const string Section = "Logs";

    /// <summary>How many files of a day are kept.</summary>
    public const int FileDays = 7;

    /// <summary>The framework's own lines stay at Warning whatever the level: they carry addresses and query strings.</summary>
    public LogEventLevel Level { get; set; } = LogEventLevel.Information;

    /// <summary>Whether lines go to standard output.</summary>
    public bool Console { get; set; } = true;

    /// <summary>A file for each day, of which seven are kept. Default: none.</summary>
    public string? File { get; set; }
}
