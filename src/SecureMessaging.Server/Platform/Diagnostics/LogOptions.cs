using Serilog.Events;

namespace SecureMessaging.Server.Platform.Diagnostics;

/// <summary>Level and destinations of the log. Section <c>Logs</c>.</summary>
internal sealed class LogOptions
{
    public const string Section = "Logs";

    public const int FileDays = 7;

    /// <summary>Lines of the framework stay at Warning, whatever the level: they contain addresses and query strings.</summary>
    public LogEventLevel Level { get; set; } = LogEventLevel.Information;

    public bool Console { get; set; } = true;

    /// <summary>A file per day; the last seven are kept. Default: none.</summary>
    public string? File { get; set; }
}
