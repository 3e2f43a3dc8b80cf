using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Devices;
using SecureMessaging.Server.Handshakes;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Retention;

/// <summary>The retention job: at start and every period, on one node at a time. Its log lines hold counts and nothing else.</summary>
internal sealed partial class RetentionService(
    Database database, SessionStore sessions, DeviceStore devices, KeyPackageStore packages, WelcomeStore welcomes, TimeProvider time,
    IOptions<RetentionOptions> options, ServerMetrics metrics, ILogger<RetentionService> logger)
    : BackgroundService, IHealthCheck
{
    private readonly EntryPurge entries = new(database, options.Value);
    private readonly PurgeClock clock = new(database, time);
    private volatile string? refusal;

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(refusal is { } sentence ? HealthCheckResult.Degraded(sentence) : HealthCheckResult.Healthy());

    /// <summary>Purges what has expired by the clock, whether or not that can be trusted.</summary>
    public Task RunOnceAsync(CancellationToken cancellationToken) => PurgeAsync(time.Now(), cancellationToken);

    private async Task PurgeAsync(DateTime now, CancellationToken cancellationToken)
    {
        var purged = await sessions.PurgeAsync(now, options.Value.EndedSessions, options.Value.BatchLength, cancellationToken);
        var (expired, cut) = await entries.RunAsync(now, cancellationToken);
        var tokens = purged.RefreshTokens + purged.Tickets;
        var unseen = await devices.PurgeAsync(now - options.Value.UnseenDevices, options.Value.BatchLength, cancellationToken);
        var outdated = await packages.PurgeAsync(now, options.Value.BatchLength, cancellationToken);
        var stale = await welcomes.PurgeAsync(now - options.Value.Welcomes, options.Value.BatchLength, cancellationToken);
        if (purged.Sessions + tokens + expired + cut + unseen + outdated + stale == 0)
            return;
        metrics.Purged("session", purged.Sessions);
        metrics.Purged("token", tokens);
        metrics.Purged("expired", expired);
        metrics.Purged("cut", cut);
        metrics.Purged("device", unseen);
        metrics.Purged("keyPackage", outdated);
        metrics.Purged("welcome", stale);
        await database.ForgetDeletedAsync(cancellationToken);
        Purged(logger, purged.Sessions, tokens, expired, cut, unseen, outdated, stale);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.Period, time);
        try
        {
            do
                await TryRunAsync(stoppingToken);
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process ends; the next one goes on.
        }
    }

    private async Task TryRunAsync(CancellationToken stoppingToken)
    {
        try
        {
            var (until, why) = await clock.LookAsync(stoppingToken);
            Note(why);
            if (until is not { } horizon)
                return;
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

    private void Note(string? why)
    {
        if (why is not null && refusal is null)
            Refused(logger, why);
        refusal = why;
    }

    [LoggerMessage(5002, LogLevel.Warning, "{Cause:l}")]
    private static partial void Refused(ILogger logger, string cause);

    [LoggerMessage(5003, LogLevel.Warning, "The last run of the retention job was more than a day ago: this run purges what expired until {PurgedUntil}")]
    private static partial void OneDay(ILogger logger, DateTime purgedUntil);

    [LoggerMessage(
        5000, LogLevel.Information,
        "Purged {Sessions} sessions, {Tokens} tokens, {Expired} expired entries, {Cut} places of the log, {Devices} devices, {KeyPackages} KeyPackages, {Welcomes} Welcomes")]
    private static partial void Purged(ILogger logger, int sessions, int tokens, int expired, int cut, int devices, int keyPackages, int welcomes);

    [LoggerMessage(5001, LogLevel.Warning, "The retention job failed and will run again")]
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
