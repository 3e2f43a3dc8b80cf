using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Platform.Diagnostics;

/// <summary>
/// <c>/health/live</c>: the process answers. <c>/health/ready</c>: the node can serve; 200 also when degraded, 503 when not. Shows only names and
/// states of checks.
/// </summary>
/// <remarks>A feature adds a check by <c>AddHealthChecks().AddCheck&lt;T&gt;(name)</c>.</remarks>
internal static class HealthFeature
{
    public static void AddHealth(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<ReadinessLog>();
        builder.Services.AddHealthChecks().AddCheck<StoppingCheck>("node");
    }

    public static void MapHealth(this IEndpointRouteBuilder app)
    {
        var health = app.MapGroup("/health").AllowAnonymous().WithTags("Server").NeverStored().NeverLimit();
        health.MapGet("live", Live);
        health.MapGet("ready", ReadyAsync).Produces<Health>(StatusCodes.Status503ServiceUnavailable);
    }

    [EndpointName("isLive"), EndpointSummary("The process answers.")]
    private static Ok<Health> Live() => TypedResults.Ok(new Health(Name(HealthStatus.Healthy), []));

    [EndpointName("isReady"), EndpointSummary("Whether the node can serve.")]
    [EndpointDescription("200 also when degraded, 503 when it cannot serve or is stopping.")]
    private static async Task<Results<Ok<Health>, JsonHttpResult<Health>>> ReadyAsync(
        HealthCheckService checks, ReadinessLog log, CancellationToken cancellationToken)
    {
        var report = await checks.CheckHealthAsync(cancellationToken);
        log.Note(report);
        var states = report.Entries.ToDictionary(entry => entry.Key, entry => Name(entry.Value.Status), StringComparer.Ordinal);
        var health = new Health(Name(report.Status), states);
        return report.Status == HealthStatus.Unhealthy
            ? TypedResults.Json(health, statusCode: StatusCodes.Status503ServiceUnavailable)
            : TypedResults.Ok(health);
    }

    public static string Name(HealthStatus status) => status switch
    {
        HealthStatus.Healthy => "healthy",
        HealthStatus.Degraded => "degraded",
        _ => "unhealthy",
    };

    /// <summary>A stopping node is not ready.</summary>
    private sealed class StoppingCheck(IHostApplicationLifetime lifetime) : IHealthCheck
    {
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
            Task.FromResult(lifetime.ApplicationStopping.IsCancellationRequested ? HealthCheckResult.Unhealthy() : HealthCheckResult.Healthy());
    }
}

/// <summary>The state of a node.</summary>
/// <param name="Status">healthy, degraded or unhealthy: the worst of the checks.</param>
/// <param name="Checks">The state of each check, by its name.</param>
internal sealed record Health(string Status, Dictionary<string, string> Checks);
