using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Tests.Core;

public sealed class HandoverTests
{
    [Fact]
    public async Task Work_runs_once_and_in_order_at_most_one_piece_ahead()
    {
        var done = new List<int>();
        var begin = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var handover = new Handover(work => _ = Task.Run(async () =>
        {
            await begin.Task;
            work.Execute();
        }));
        using var entered = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        handover.Give(() =>
        {
            entered.Set();
            goOn.Wait();
            done.Add(1);
        });
        Assert.False(entered.IsSet);
        begin.SetResult();
        entered.Wait(TestContext.Current.CancellationToken);
        var second = Task.Run(() => handover.Give(() => done.Add(2)));
        await Task.Delay(200, TestContext.Current.CancellationToken);
        Assert.False(second.IsCompleted);
        goOn.Set();
        await second.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        handover.Settle();
        Assert.Equal([1, 2], done);
    }

    [Fact]
    public void Work_that_no_thread_starts_runs_on_the_calling_thread()
    {
        var done = new List<int>();
        var late = new List<IThreadPoolWorkItem>();
        var handover = new Handover(late.Add);
        handover.Give(() => done.Add(1));
        handover.Give(() => done.Add(2));
        Assert.Equal([1], done);
        // Two turns: the first finds the second piece, the other nothing.
        late.ForEach(work => work.Execute());
        Assert.Equal([1, 2], done);
    }

    [Fact]
    public void Settle_runs_what_no_thread_has_started()
    {
        var done = new List<int>();
        var handover = new Handover(_ => { });
        handover.Give(() => done.Add(1));
        handover.Settle();
        Assert.Equal([1], done);
    }
}
