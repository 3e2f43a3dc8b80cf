namespace SecureMessaging.Tests.Harness;

/// <summary>
/// The server's clock in tests: the system's clock plus an offset. <see cref="Advance"/> moves only the clock: keep-alives and hosted loops see no
/// jump. <see cref="PassAsync"/> moves clock and timers. Only on a dedicated server: on a shared one, tokens of other tests would expire.
/// </summary>
public sealed class AdjustableTime(bool shared) : TimeProvider
{
    /// <summary>Timers of at least a second see each of their ticks.</summary>
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    private readonly HashSet<AdjustableTimer> timers = [];
    private long offsetTicks;

    /// <summary>The part of the offset that timers have seen.</summary>
    private long passedTicks;

    private TimeSpan? stoppedAt;

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddTicks(Volatile.Read(ref offsetTicks));

    public override long GetTimestamp() => System.GetTimestamp()
        + (long)(Volatile.Read(ref offsetTicks) * (TimestampFrequency / (double)TimeSpan.TicksPerSecond));

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new AdjustableTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>From now on timers see only the time of <see cref="PassAsync"/>, independent of the machine's speed.</summary>
    public void StopTimers()
    {
        ThrowIfShared();
        stoppedAt = System.GetElapsedTime(0);
    }

    /// <summary>Moves the clock without the timers.</summary>
    public void Advance(TimeSpan by)
    {
        ThrowIfShared();
        Interlocked.Add(ref offsetTicks, by.Ticks);
    }

    /// <summary>Moves clock and timers in steps, with a pause after each for their callbacks: a minute takes about three seconds.</summary>
    public async Task PassAsync(TimeSpan time)
    {
        ThrowIfShared();
        for (var left = time; left > TimeSpan.Zero; left -= Step)
        {
            var step = left < Step ? left : Step;
            Interlocked.Add(ref offsetTicks, step.Ticks);
            Interlocked.Add(ref passedTicks, step.Ticks);
            AdjustableTimer[] waiting;
            lock (timers)
                waiting = [.. timers];
            foreach (var timer in waiting)
                timer.Look();
            await Task.Delay(Pause);
        }
    }

    private void ThrowIfShared()
    {
        if (shared)
            throw new InvalidOperationException("This server is shared with other tests; move the clock of a dedicated one (TestServer.DedicatedAsync).");
    }

    /// <summary>A system timer that is set again to the rest whenever time passes.</summary>
    private sealed class AdjustableTimer : ITimer
    {
        private readonly AdjustableTime time;
        private readonly TimerCallback callback;
        private readonly object? state;
        private readonly ITimer real;
        private readonly Lock gate = new();
        private TimeSpan? due;
        private TimeSpan period;

        public AdjustableTimer(AdjustableTime time, TimerCallback callback, object? state)
        {
            (this.time, this.callback, this.state) = (time, callback, state);
            real = System.CreateTimer(_ => Look(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        private TimeSpan Now => (time.stoppedAt ?? System.GetElapsedTime(0)) + TimeSpan.FromTicks(Volatile.Read(ref time.passedTicks));

        public bool Change(TimeSpan dueTime, TimeSpan newPeriod)
        {
            lock (gate)
            {
                period = newPeriod;
                due = dueTime < TimeSpan.Zero ? null : Now + dueTime;
                lock (time.timers)
                {
                    if (due is null)
                        time.timers.Remove(this);
                    else
                        time.timers.Add(this);
                }

                return real.Change(dueTime, Timeout.InfiniteTimeSpan);
            }
        }

        /// <summary>Calls back if due, otherwise waits for the rest.</summary>
        public void Look()
        {
            lock (gate)
            {
                if (due is not { } at)
                    return;
                if (at > Now)
                {
                    if (time.stoppedAt is null)
                        real.Change(at - Now, Timeout.InfiniteTimeSpan);
                    return;
                }

                if (period > TimeSpan.Zero)
                    Change(at + period > Now ? at + period - Now : TimeSpan.Zero, period);
                else
                    Change(Timeout.InfiniteTimeSpan, period);
            }

            callback(state);
        }

        public void Dispose()
        {
            Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            real.Dispose();
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
