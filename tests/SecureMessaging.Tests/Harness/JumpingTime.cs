namespace SecureMessaging.Tests.Harness;

/// <summary>A clock that can be set: the wall clock jumps, and the monotonic one does not.</summary>
public sealed class JumpingTime : TimeProvider
{
    private long jumpedTicks;
    private long passedTicks;

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddTicks(Volatile.Read(ref jumpedTicks) + Volatile.Read(ref passedTicks));

    public override long GetTimestamp() => System.GetTimestamp() + (long)(Volatile.Read(ref passedTicks) * (TimestampFrequency / (double)TimeSpan.TicksPerSecond));

    /// <summary>Sets the wall clock.</summary>
    public void Jump(TimeSpan by) => Interlocked.Add(ref jumpedTicks, by.Ticks);

    /// <summary>Lets time pass, by both clocks.</summary>
    public void Pass(TimeSpan time) => Interlocked.Add(ref passedTicks, time.Ticks);
}
