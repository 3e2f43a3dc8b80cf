using System.Collections.Concurrent;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace SecureMessaging.Server.Platform.Diagnostics;

/// <summary>Writes one log line when a readiness check changes, independent of the number of probes.</summary>
internal sealed partial class ReadinessLog(ILogger<ReadinessLog> logger)
{
    private readonly ConcurrentDictionary<string, (HealthStatus Status, string? Reason)> last = new(StringComparer.Ordinal);

    public void Note(HealthReport report)
    {
        foreach (var (check, entry) in report.Entries)
        {
            var now = (entry.Status, entry.Description);
            var before = last.GetValueOrDefault(check, (HealthStatus.Healthy, null));
            if (before == now || !(last.TryAdd(check, now) || last.TryUpdate(check, now, before)))
                continue;
            if (entry.Status == HealthStatus.Healthy)
                Healthy(logger, check);
            else
                Changed(logger, check, HealthFeature.Name(entry.Status), entry.Description ?? "no details");
        }
    }

    [LoggerMessage(1020, LogLevel.Information, "Readiness: {Check:l} is healthy again")]
    private static partial void Healthy(ILogger logger, string check);

    [LoggerMessage(1021, LogLevel.Warning, "Readiness: {Check:l} is {Status:l}. {Cause:l}")]
    private static partial void Changed(ILogger logger, string check, string status, string cause);
}
