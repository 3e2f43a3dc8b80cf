using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace SecureMessaging.Server.Delivery;

/// <summary>A draining node takes no new connections: unhealthy.</summary>
internal sealed class DrainCheck(DrainingLifetime lifetime) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(lifetime.IsDraining ? HealthCheckResult.Unhealthy("The node stops.") : HealthCheckResult.Healthy());
}
