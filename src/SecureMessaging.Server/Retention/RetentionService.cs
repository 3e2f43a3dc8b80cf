using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Devices;
using SecureMessaging.Server.Handshakes;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Retention;

/// <summary>The retention job: at start and every period, on one node at a time. Its log lines hold counts and nothing else.</summary>
internal sealed partial class RetentionService(
    Database database, SessionStore sessions, DeviceStore devices, KeyPackageStore packages, WelcomeStore welcomes, TimeProvider time, IOptions<RetentionOptions> options, ServerMetrics metrics, ILogger<RetentionService> logger)
    : BackgroundService
{
    private readonly EntryPurge entries = new(database, options.Value);

    public async Task RunOnceAsync(CancellationToken cancellationToken)
    {
        var now = time.Now();
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
            await RunOnceAsync(stoppingToken);
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            Failed(logger, exception is ApiException { Code: ErrorCode.Unavailable } ? null : exception);
        }
    }

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
    }
}
