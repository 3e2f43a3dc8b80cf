namespace SecureMessaging.Tests.Harness;

/// <summary>A clock that can be set: the wall clock jumps, the monotonic clock does not.</summary>
/// <param name="hurried">Timers with this period tick ten times a second; <see cref="TicksAsync"/> counts them.</param>
public sealed class JumpingTime(TimeSpan hurried) : TimeProvider
{
    private static readonly TimeSpan Hurry = TimeSpan.FromMilliseconds(100);
    private int ticks;
    private long jumpedTicks;
    private long passedTicks;

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddTicks(Volatile.Read(ref jumpedTicks) + Volatile.Read(ref passedTicks));

    public override long GetTimestamp() => System.GetTimestamp()
        + (long)(Volatile.Read(ref passedTicks) * (TimestampFrequency / (double)TimeSpan.TicksPerSecond));

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => period != hurried
        ? System.CreateTimer(callback, state, dueTime, period)
        : System.CreateTimer(
            given =>
            {
                Interlocked.Increment(ref ticks);
                callback(given);
            },
            state, Hurry, Hurry);

    /// <summary>Waits for this many ticks.</summary>
    public Task TicksAsync(int count)
    {
        var until = Volatile.Read(ref ticks) + count;
        return Eventually.TrueAsync(() => Volatile.Read(ref ticks) >= until);
    }

    /// <summary>Sets the wall clock.</summary>
    public void Jump(TimeSpan by) => Interlocked.Add(ref jumpedTicks, by.Ticks);

    /// <summary>Lets time pass on both clocks.</summary>
    public void Pass(TimeSpan time) => Interlocked.Add(ref passedTicks, time.Ticks);
}
