using System.Diagnostics;

namespace SecureMessaging.Tests.Harness;

/// <summary>Waits until a condition holds, independent of the machine's speed, and fails if it never does.</summary>
public static class Eventually
{
    private static readonly TimeSpan Patience = ServerStart.Patience;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <param name="condition">What must become true.</param>
    /// <param name="otherwise">Text of the failure, such as the logs.</param>
    public static Task TrueAsync(Func<bool> condition, Func<string>? otherwise = null) => TrueAsync(() => Task.FromResult(condition()), otherwise);

    /// <inheritdoc cref="TrueAsync(Func{bool}, Func{string}?)"/>
    public static async Task TrueAsync(Func<Task<bool>> condition, Func<string>? otherwise = null)
    {
        for (var started = Stopwatch.GetTimestamp(); !await condition();)
        {
            Assert.True(Stopwatch.GetElapsedTime(started) < Patience, $"The condition was not met within {Patience.TotalSeconds} s. {otherwise?.Invoke()}");
            await Task.Delay(Pause, TestContext.Current.CancellationToken);
        }
    }
}
