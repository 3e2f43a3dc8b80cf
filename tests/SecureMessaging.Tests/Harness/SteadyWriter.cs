namespace SecureMessaging.Tests.Harness;

/// <summary>Sends one message after another to a room, until it is stopped or disposed. With a pace, each message needs a permit.</summary>
public sealed class SteadyWriter : IAsyncDisposable
{
    private readonly CancellationTokenSource stop = new();
    private readonly Task<int> writing;

    public SteadyWriter(TestConnection connection, Guid roomId, SemaphoreSlim? pace = null) => writing = Task.Run(async () =>
    {
        var acknowledged = 0;
        while (!stop.IsCancellationRequested)
        {
            if (pace is not null && !await pace.WaitAsync(TimeSpan.FromMilliseconds(20)))
                continue;
            await connection.SendAsync(roomId, [1]);
            acknowledged++;
        }

        return acknowledged;
    });

    /// <summary>The number of acknowledged sends. Fails if one of them failed.</summary>
    public async Task<int> StopAsync()
    {
        await stop.CancelAsync();
        return await writing;
    }

    /// <summary>Does not report failed sends, because the test may already have failed.</summary>
    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await ((Task)writing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        stop.Dispose();
    }
}
