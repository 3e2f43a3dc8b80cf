using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;

namespace SecureMessaging.Server.Platform;

/// <summary>
/// <c>/health/live</c>: the process answers. <c>/health/ready</c>: it can serve; 200 also when degraded, 503 when not. Names and states of the checks, nothing else.
/// </summary>
/// <remarks>A feature adds a check by <c>AddHealthChecks().AddCheck&lt;T&gt;(name)</c>.</remarks>
internal static class HealthFeature
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    public static void AddHealth(this WebApplicationBuilder builder) =>
        builder.Services.AddHealthChecks().AddCheck<DatabaseCheck>("database", timeout: Patience).AddCheck<StoppingCheck>("node");

    public static void MapHealth(this IEndpointRouteBuilder app)
    {
        app.MapHealthChecks("/health/live", new HealthCheckOptions { Predicate = _ => false, ResponseWriter = WriteAsync }).AllowAnonymous().NeverLimit();
        app.MapHealthChecks("/health/ready", new HealthCheckOptions { ResponseWriter = WriteAsync }).AllowAnonymous().NeverLimit();
    }

    private static Task WriteAsync(HttpContext context, HealthReport report) => context.Response.WriteAsJsonAsync(
        new HealthBody(Name(report.Status), report.Entries.ToDictionary(entry => entry.Key, entry => Name(entry.Value.Status), StringComparer.Ordinal)),
        Wire.Json, context.RequestAborted);

    private static string Name(HealthStatus status) => status switch
    {
        HealthStatus.Healthy => "healthy",
        HealthStatus.Degraded => "degraded",
        _ => "unhealthy",
    };

    private sealed record HealthBody(string Status, Dictionary<string, string> Checks);

    private sealed class DatabaseCheck(Database database) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            try
            {
                // Some failures of a network answer neither this nor its cancellation.
                await database.ReadAsync(connection => connection.QuerySingleAsync<int>("select 1", null, cancellationToken), cancellationToken)
                    .WaitAsync(Patience, cancellationToken);
                return HealthCheckResult.Healthy();
            }
            catch (Exception exception) when (exception is ApiException or TimeoutException or OperationCanceledException)
            {
                return HealthCheckResult.Unhealthy();
            }
        }
    }

    /// <summary>A node that stops wants no more traffic.</summary>
    private sealed class StoppingCheck(IHostApplicationLifetime lifetime) : IHealthCheck
    {
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
            Task.FromResult(lifetime.ApplicationStopping.IsCancellationRequested ? HealthCheckResult.Unhealthy() : HealthCheckResult.Healthy());
    }
}
