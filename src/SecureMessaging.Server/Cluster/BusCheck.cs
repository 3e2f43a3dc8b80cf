using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace SecureMessaging.Server.Cluster;

/// <summary>Without Redis the node serves with more latency: degraded.</summary>
internal sealed class BusCheck(NodeBus bus) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(!bus.IsEnabled || bus.IsHealthy ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded(bus.Trouble));
}
