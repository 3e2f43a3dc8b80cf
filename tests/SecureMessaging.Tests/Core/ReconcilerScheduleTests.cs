using Microsoft.Extensions.Time.Testing;
using SecureMessaging.Server.Cluster;

namespace SecureMessaging.Tests.Core;

/// <summary>When the reconciler reads what, on a clock that the test moves.</summary>
public sealed class ReconcilerScheduleTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly FakeTimeProvider time = new();
    private readonly ReconcilerSchedule schedule;

    public ReconcilerScheduleTests() => schedule = new ReconcilerSchedule(time);

    public void Dispose() => schedule.Dispose();

    [Theory]
    [InlineData(true, 30, 6, 6)]
    [InlineData(false, 120, 120, 12)]
    public void Each_step_has_its_period(bool healthy, int rooms, int memberships, int sessions)
    {
        var turns = Run(healthy, minutes: 1);
        Assert.Equal(
            (rooms, memberships, sessions),
            (Count(turns, ReconcilerSteps.Rooms), Count(turns, ReconcilerSteps.Memberships), Count(turns, ReconcilerSteps.Sessions)));
    }

    [Theory]
    [InlineData(true, 2000)]
    [InlineData(false, 500)]
    public async Task A_turn_begins_when_the_rooms_are_due(bool healthy, int period)
    {
        Assert.Equal(TimeSpan.FromMilliseconds(period), schedule.Rest(healthy));
        time.Advance(TimeSpan.FromMilliseconds(period - 1));
        Assert.Equal(TimeSpan.FromMilliseconds(1), schedule.Rest(healthy));
        Assert.Equal(ReconcilerSteps.None, schedule.Take(healthy));
        var waiting = schedule.WaitAsync(healthy, CancellationToken.None);
        Assert.False(waiting.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await waiting.WaitAsync(Patience);
        Assert.True(schedule.Take(healthy).HasFlag(ReconcilerSteps.Rooms));
    }

    [Fact]
    public async Task A_notice_starts_a_turn_at_once_and_makes_no_step_due()
    {
        var waiting = schedule.WaitAsync(healthy: true, CancellationToken.None);
        Assert.False(waiting.IsCompleted);
        schedule.Wake();
        await waiting.WaitAsync(Patience);
        Assert.Equal(ReconcilerSteps.None, schedule.Take(healthy: true));
    }

    [Fact]
    public async Task Notices_that_come_before_a_turn_start_one_turn()
    {
        schedule.Wake();
        schedule.Wake();
        await schedule.WaitAsync(healthy: true, CancellationToken.None).WaitAsync(Patience);
        Assert.False(schedule.WaitAsync(healthy: true, CancellationToken.None).IsCompleted);
    }

    [Fact]
    public async Task A_change_of_the_bus_makes_every_step_due_once()
    {
        var waiting = schedule.WaitAsync(healthy: true, CancellationToken.None);
        schedule.WakeForAll();
        await waiting.WaitAsync(Patience);
        Assert.Equal(ReconcilerSteps.All, schedule.Take(healthy: true));
        Assert.Equal(ReconcilerSteps.None, schedule.Take(healthy: true));
    }

    [Fact]
    public async Task The_wait_ends_with_its_token()
    {
        using var stopping = new CancellationTokenSource();
        var waiting = schedule.WaitAsync(healthy: true, stopping.Token);
        await stopping.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(Patience));
    }

    /// <summary>The steps of each turn, with one turn every 0.1 s: more often than any step is due, as many notices would cause.</summary>
    private List<ReconcilerSteps> Run(bool healthy, int minutes)
    {
        var turns = new List<ReconcilerSteps>();
        for (var i = 0; i < minutes * 600; i++)
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            turns.Add(schedule.Take(healthy));
        }

        return turns;
    }

    private static int Count(List<ReconcilerSteps> turns, ReconcilerSteps step) => turns.Count(turn => turn.HasFlag(step));
}
