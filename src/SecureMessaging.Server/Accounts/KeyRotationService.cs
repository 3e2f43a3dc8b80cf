namespace SecureMessaging.Server.Accounts;

/// <summary>Turns the key ring once a minute on every node. Most turns change nothing.</summary>
internal sealed partial class KeyRotationService(KeyRing ring, TimeProvider time, ILogger<KeyRotationService> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMinutes(1), time);
        do
            Turn();
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private void Turn()
    {
        try
        {
            var done = ring.Turn();
            if (done.HasFlag(KeyTurn.Created))
                KeyMade(logger);
            if (done.HasFlag(KeyTurn.Restored))
                KeyRestored(logger);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            // The keys in memory stay valid. The next turn retries.
            TurnFailed(logger, exception.GetType().Name);
        }
    }

    [LoggerMessage(2000, LogLevel.Information, "A new signing key is published")]
    private static partial void KeyMade(ILogger logger);

    [LoggerMessage(2002, LogLevel.Warning, "A signing key that this node uses was missing from the key directory, or replaced there; the node has restored it")]
    private static partial void KeyRestored(ILogger logger);

    [LoggerMessage(2001, LogLevel.Error, "The key ring could not be read or written: {ExceptionType}")]
    private static partial void TurnFailed(ILogger logger, string exceptionType);
}
