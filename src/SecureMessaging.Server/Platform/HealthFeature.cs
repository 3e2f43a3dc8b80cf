using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Limiting;

namespace SecureMessaging.Server.Platform;

/// <summary>
/// <c>/health/live</c>: the process answers. <c>/health/ready</c>: it can serve; 200 also when degraded, 503 when not. Names and states of the checks, nothing else.
/// </summary>
/// <remarks>A feature adds a check by <c>AddHealthChecks().AddCheck&lt;T&gt;(name)</c>.</remarks>
internal static class HealthFeature
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    public static void AddHealth(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<ReadinessLog>();
        builder.Services.AddHealthChecks().AddCheck<DatabaseCheck>("database", timeout: Patience).AddCheck<StoppingCheck>("node");
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
        var health = new Health(Name(report.Status), report.Entries.ToDictionary(entry => entry.Key, entry => Name(entry.Value.Status), StringComparer.Ordinal));
        return report.Status == HealthStatus.Unhealthy ? TypedResults.Json(health, statusCode: StatusCodes.Status503ServiceUnavailable) : TypedResults.Ok(health);
    }

    public static string Name(HealthStatus status) => status switch
    {
        HealthStatus.Healthy => "healthy",
        HealthStatus.Degraded => "degraded",
        _ => "unhealthy",
    };

    private sealed class DatabaseCheck(Database database) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            try
            {
                // Some failures of a network answer neither this nor its cancellation.
                await database.ProbeAsync(cancellationToken).WaitAsync(Patience, cancellationToken);
                if (database.Trouble.Unwritable is { } why)
                    return HealthCheckResult.Unhealthy(why);
                return database.Trouble.Blocked is { } blocked ? HealthCheckResult.Degraded(blocked) : HealthCheckResult.Healthy();
            }
            catch (Exception exception) when (exception is ApiException or TimeoutException or OperationCanceledException)
            {
                return HealthCheckResult.Unhealthy(database.Trouble.Unwritable ?? "The database does not answer.");
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

/// <summary>How a node is.</summary>
/// <param name="Status">healthy, degraded or unhealthy: the worst of the checks.</param>
/// <param name="Checks">The same of each check, by its name.</param>
internal sealed record Health(string Status, Dictionary<string, string> Checks);
