namespace SecureMessaging.Server.Auth;

/// <summary>Turns the key ring once a minute, on every node; most turns find nothing to do.</summary>
internal sealed partial class KeyRotationService(KeyRing ring, TimeProvider time, ILogger<KeyRotationService> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMinutes(1), time);
        try
        {
            do
                Turn();
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process ends.
        }
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
            // The keys in memory go on working; the next turn tries again.
            TurnFailed(logger, exception.GetType().Name);
        }
    }

    [LoggerMessage(2000, LogLevel.Information, "A new signing key is published")]
    private static partial void KeyMade(ILogger logger);

    [LoggerMessage(2002, LogLevel.Warning, "The key directory had lost or replaced a signing key that this node still uses; it is there again")]
    private static partial void KeyRestored(ILogger logger);

    [LoggerMessage(2001, LogLevel.Error, "The key ring could not be read or written: {ExceptionType}")]
    private static partial void TurnFailed(ILogger logger, string exceptionType);
}
