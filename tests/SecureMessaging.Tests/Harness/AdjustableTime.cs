namespace SecureMessaging.Tests.Harness;

/// <summary>
/// The server's clock in tests: the system's, plus an offset that a test moves. Timers stay real, so that keep-alives and hosted loops go on
/// while a day passes. Moving the clock of a shared server would expire the tokens of the tests beside this one, so that is refused.
/// </summary>
public sealed class AdjustableTime(bool shared) : TimeProvider
{
    private long offsetTicks;

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddTicks(Volatile.Read(ref offsetTicks));

    public override long GetTimestamp() => System.GetTimestamp() + (long)(Volatile.Read(ref offsetTicks) * (TimestampFrequency / (double)TimeSpan.TicksPerSecond));

    public void Advance(TimeSpan by)
    {
        if (shared)
            throw new InvalidOperationException("This server is shared with other tests; move the clock of a dedicated one (TestServer.DedicatedAsync).");
        Interlocked.Add(ref offsetTicks, by.Ticks);
    }
}
