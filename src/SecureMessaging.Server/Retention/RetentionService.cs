using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Encryption;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Retention;

/// <summary>The retention job: runs at start and every period, on one node at a time. Its log lines contain only counts.</summary>
internal sealed partial class RetentionService(
    Database database, SessionStore sessions, ReleasedNames names, DeviceOperations devices, KeyPackageStore packages, WelcomeStore welcomes,
    CommitThrottles throttles, TimeProvider time,
    IOptions<RetentionOptions> options, ServerMetrics metrics, ILogger<RetentionService> logger)
    : BackgroundService, IHealthCheck
{
    // One node a day.
    private const string ClaimRewriteSql = """
        update installation set rewritten_on = @Today where id = 1 and (rewritten_on is null or rewritten_on < @Today)
        """;

    private readonly EntryPurge entries = new(database, options.Value.BatchLength);
    private readonly PurgeClock clock = new(database, time);
    private volatile string? refusal;

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(refusal is { } sentence ? HealthCheckResult.Degraded(sentence) : HealthCheckResult.Healthy());

    /// <summary>Purges what has expired by the wall clock, without <see cref="PurgeClock"/>.</summary>
    public Task RunOnceAsync(CancellationToken cancellationToken) => PurgeAsync(time.Now(), cancellationToken);

    private async Task PurgeAsync(DateTime now, CancellationToken cancellationToken)
    {
        var purged = await sessions.PurgeAsync(now, options.Value.EndedSessions, options.Value.BatchLength, cancellationToken);
        var (expired, cut) = await entries.RunAsync(now, cancellationToken);
        var released = await names.PurgeAsync(now, options.Value.BatchLength, cancellationToken);
        var throttled = await throttles.PurgeAsync(now, options.Value.BatchLength, cancellationToken);
        var tokens = purged.RefreshTokens + purged.Tickets;
        var unseen = await devices.PurgeAsync(now - options.Value.UnseenDevices, options.Value.BatchLength, cancellationToken);
        var outdated = await packages.PurgeAsync(now, options.Value.BatchLength, cancellationToken);
        var stale = await welcomes.PurgeAsync(now - options.Value.Welcomes, options.Value.BatchLength, cancellationToken);
        if (purged.Sessions + tokens + expired + cut + unseen + outdated + stale + released + throttled > 0)
        {
            metrics.Purged("releasedName", released);
            metrics.Purged("commitThrottle", throttled);
            Note(purged.Sessions, tokens, expired, cut, unseen, outdated, stale);
        }

        // Also after a run without a deletion: redactions, deleted rooms and erased accounts do not wait for this job.
        await database.ForgetDeletedAsync(cancellationToken);
    }

    private void Note(int sessions, int tokens, int expired, int cut, int unseen, int outdated, int stale)
    {
        metrics.Purged("session", sessions);
        metrics.Purged("token", tokens);
        metrics.Purged("expired", expired);
        metrics.Purged("cut", cut);
        metrics.Purged("device", unseen);
        metrics.Purged("keyPackage", outdated);
        metrics.Purged("welcome", stale);
        Purged(logger, sessions, tokens, expired, cut, unseen, outdated, stale);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.Period, time);
        do
            await TryRunAsync(stoppingToken);
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task TryRunAsync(CancellationToken stoppingToken)
    {
        try
        {
            await RewriteAsync(stoppingToken);
            var (until, why) = await clock.LookAsync(stoppingToken);
            Note(why);
            if (until is not { } horizon)
            {
                await database.ForgetDeletedAsync(stoppingToken);
                return;
            }

            if (time.Now() - horizon > TimeSpan.FromHours(1))
                OneDay(logger, horizon);
            await PurgeAsync(horizon, stoppingToken);
            await clock.NoteAsync(horizon, stoppingToken);
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            Failed(logger, exception is ApiException { Code: ErrorCode.Unavailable } ? null : exception);
        }
    }

    private async Task RewriteAsync(CancellationToken stoppingToken)
    {
        var now = time.Now();
        if (!database.IsPostgres || options.Value.RewriteHour != now.Hour
            || await database.ExecuteAsync(ClaimRewriteSql, new { Today = now.ToDay() }, stoppingToken) == 0)
            return;
        RewriteBegins(logger);
        var started = time.GetTimestamp();
        await database.RewriteAsync(stoppingToken);
        Rewritten(logger, (int)time.GetElapsedTime(started).TotalSeconds);
    }

    private void Note(string? why)
    {
        if (why is not null && refusal is null)
            Refused(logger, why);
        refusal = why;
    }

    [LoggerMessage(5004, LogLevel.Information, "The retention job rewrites all tables: until it ends, requests wait or fail with Unavailable")]
    private static partial void RewriteBegins(ILogger logger);

    [LoggerMessage(5005, LogLevel.Information, "All tables are rewritten, after {Seconds} s: their files have no deleted content")]
    private static partial void Rewritten(ILogger logger, int seconds);

    [LoggerMessage(5002, LogLevel.Warning, "{Cause:l}")]
    private static partial void Refused(ILogger logger, string cause);

    [LoggerMessage(5003, LogLevel.Warning, "The last run of the retention job was more than a day ago: this run purges what expired until {PurgedUntil}")]
    private static partial void OneDay(ILogger logger, DateTime purgedUntil);

    [LoggerMessage(
        5000, LogLevel.Information,
        "Purged {Sessions} sessions, {Tokens} tokens, {Expired} expired entries, {Cut} empty log rows, {Devices} devices, {KeyPackages} KeyPackages, "
        + "{Welcomes} Welcomes")]
    private static partial void Purged(ILogger logger, int sessions, int tokens, int expired, int cut, int devices, int keyPackages, int welcomes);

    [LoggerMessage(5001, LogLevel.Warning, "The retention job failed; it runs again after its period")]
    private static partial void Failed(ILogger logger, Exception? exception);
}

/// <summary>Registers the retention job.</summary>
internal static class RetentionFeature
{
    public static void AddRetention(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<RetentionOptions>().BindConfiguration(RetentionOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddSingleton<RetentionService>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<RetentionService>());
        builder.Services.AddHealthChecks().AddCheck<RetentionService>("retention");
    }
}
