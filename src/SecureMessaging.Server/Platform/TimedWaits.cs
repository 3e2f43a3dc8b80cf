namespace SecureMessaging.Server.Platform;

/// <summary>Waits that a <see cref="TimeProvider"/> bounds, where the framework has none: tests move the clock instead of waiting.</summary>
internal static class TimedWaits
{
    /// <summary>Enters the semaphore. False: the time passed first.</summary>
    public static async Task<bool> WaitAsync(this SemaphoreSlim semaphore, TimeSpan longest, TimeProvider time, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await semaphore.WaitAsync(either.Token);
            return true;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }
}
