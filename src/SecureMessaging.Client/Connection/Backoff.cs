using System.Threading.Channels;

namespace SecureMessaging.Client;

/// <summary>Exponential backoff with full jitter, without end: a random wait between zero and a ceiling that doubles from 100 ms.</summary>
internal sealed class Backoff(ClientOptions options)
{
    private const double FirstCeilingMs = 100;
    private static readonly TimeSpan LongestAsked = TimeSpan.FromHours(1);
    private int attempt;

    public void Reset() => attempt = 0;

    /// <param name="atLeast">The wait that the server asked for. The jitter is added, so that clients do not return at the same time.</param>
    public TimeSpan Next(TimeSpan? atLeast = null)
    {
        var ceiling = Math.Min(options.MaxReconnectDelay.TotalMilliseconds, FirstCeilingMs * Math.Pow(2, Math.Min(attempt++, 20)));
        // The server's value can be hostile: no wait is negative or lasts for weeks.
        var asked = TimeSpan.FromTicks(Math.Clamp(atLeast?.Ticks ?? 0, 0, LongestAsked.Ticks));
        return asked + TimeSpan.FromMilliseconds(options.Random.NextDouble() * ceiling);
    }

    public Task DelayAsync(TimeSpan? atLeast, CancellationToken cancellationToken) =>
        Task.Delay(Next(atLeast), options.TimeProvider, cancellationToken);
}

/// <summary>Wakes one loop; calls while it is busy count as one.</summary>
internal sealed class Wakeup(TimeProvider time)
{
    private readonly Channel<bool> signal =
        Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public void Set() => signal.Writer.TryWrite(true);

    /// <summary>Waits for a call of <see cref="Set"/>, or for the time to pass.</summary>
    public async Task WaitAsync(TimeSpan atMost, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(atMost, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await signal.Reader.ReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The time has passed.
        }
    }
}
