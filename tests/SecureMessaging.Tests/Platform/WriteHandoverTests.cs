using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Tests.Platform;

public sealed class WriteHandoverTests
{
    [Fact]
    public async Task Handed_over_writes_run_once_and_in_order_at_most_one_batch_ahead()
    {
        var done = new List<int>();
        var begin = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var handover = new WriteHandover(writes => _ = Task.Run(async () =>
        {
            await begin.Task;
            writes.Execute();
        }));
        using var entered = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        Assert.Empty(handover.Exchange([new Write(() => entered.Set()), new Write(goOn.Wait), new Write(() => done.Add(1))]));
        Assert.False(entered.IsSet);
        begin.SetResult();
        entered.Wait(TestContext.Current.CancellationToken);
        var second = Task.Run(() => handover.Exchange([new Write(() => done.Add(2))]));
        await Task.Delay(200, TestContext.Current.CancellationToken);
        Assert.False(second.IsCompleted);
        goOn.Set();
        Assert.Empty(await second.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken));
        while (done.Count < 2)
            await Task.Delay(5, TestContext.Current.CancellationToken);
        Assert.Equal([1, 2], done);
    }

    [Fact]
    public void Writes_that_no_thread_starts_run_on_the_calling_thread()
    {
        var done = new List<int>();
        var late = new List<IThreadPoolWorkItem>();
        var handover = new WriteHandover(late.Add);
        handover.Exchange([new Write(() => done.Add(1))]);
        handover.Exchange([new Write(() => done.Add(2))]);
        Assert.Equal([1], done);
        // Two turns: the first finds all writes, the second none.
        late.ForEach(writes => writes.Execute());
        Assert.Equal([1, 2], done);
    }

    private sealed class Write(Action action) : IThreadPoolWorkItem
    {
        public void Execute() => action();
    }
}
