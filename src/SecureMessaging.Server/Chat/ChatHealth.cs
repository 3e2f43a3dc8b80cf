using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace SecureMessaging.Server.Chat;

/// <summary>Without Redis the node serves on, later than it could: degraded.</summary>
internal sealed class BusCheck(NodeBus bus) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(!bus.IsEnabled || bus.IsHealthy ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded(bus.Trouble));
}

/// <summary>A node that drains wants no new connections.</summary>
internal sealed class DrainCheck(DrainingLifetime lifetime) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(lifetime.IsDraining ? HealthCheckResult.Unhealthy("The node stops.") : HealthCheckResult.Healthy());
}
