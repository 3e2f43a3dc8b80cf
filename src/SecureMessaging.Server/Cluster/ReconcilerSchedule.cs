namespace SecureMessaging.Server.Cluster;

/// <summary>What a turn of the reconciler reads, beside the notices that wait.</summary>
[Flags]
internal enum ReconcilerSteps
{
    None = 0,
    Rooms = 1,
    Memberships = 2,
    Sessions = 4,
    All = Rooms | Memberships | Sessions,
}

/// <summary>When the reconciler reads what. It waits for the next turn, and each step has a period.</summary>
internal sealed class ReconcilerSchedule : IDisposable
{
    private static readonly TimeSpan Degraded = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan SessionsWhenDegraded = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Heads = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Calm = TimeSpan.FromSeconds(10);

    private readonly TimeProvider time;
    private readonly SemaphoreSlim wake = new(0, 1);
    private readonly ITimer timer;
    private long roomsAt;
    private long membershipsAt;
    private long sessionsAt;
    private volatile bool allDue;

    public ReconcilerSchedule(TimeProvider time)
    {
        this.time = time;
        roomsAt = membershipsAt = sessionsAt = time.GetTimestamp();
        timer = time.CreateTimer(_ => Wake(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Starts a turn now.</summary>
    public void Wake()
    {
        try
        {
            if (wake.CurrentCount == 0)
                wake.Release();
        }
        catch (SemaphoreFullException)
        {
            // Another thread has just woken it.
        }
    }

    /// <summary>Starts a turn now in which every step is due: what arrived while the bus changed its state may be lost.</summary>
    public void WakeForAll()
    {
        allDue = true;
        Wake();
    }

    /// <summary>Waits until the rooms are due or <see cref="Wake"/> is called.</summary>
    public async Task WaitAsync(bool healthy, CancellationToken cancellationToken)
    {
        timer.Change(Rest(healthy), Timeout.InfiniteTimeSpan);
        await wake.WaitAsync(cancellationToken);
    }

    /// <summary>The time until the rooms are due, which have the shortest period.</summary>
    public TimeSpan Rest(bool healthy)
    {
        var rest = RoomsPeriod(healthy) - time.GetElapsedTime(roomsAt);
        return rest > TimeSpan.Zero ? rest : TimeSpan.Zero;
    }

    /// <summary>The steps that are due. The period of each starts again, also when the step fails.</summary>
    public ReconcilerSteps Take(bool healthy)
    {
        var all = allDue;
        allDue = false;
        return (IsDue(ref roomsAt, RoomsPeriod(healthy), all) ? ReconcilerSteps.Rooms : ReconcilerSteps.None)
            | (IsDue(ref membershipsAt, healthy ? Calm : Degraded, all) ? ReconcilerSteps.Memberships : ReconcilerSteps.None)
            | (IsDue(ref sessionsAt, healthy ? Calm : SessionsWhenDegraded, all) ? ReconcilerSteps.Sessions : ReconcilerSteps.None);
    }

    public void Dispose()
    {
        timer.Dispose();
        wake.Dispose();
    }

    private static TimeSpan RoomsPeriod(bool healthy) => healthy ? Heads : Degraded;

    private bool IsDue(ref long at, TimeSpan period, bool now)
    {
        if (!now && time.GetElapsedTime(at) < period)
            return false;
        at = time.GetTimestamp();
        return true;
    }
}
