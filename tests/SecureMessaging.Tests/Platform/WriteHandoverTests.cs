using SecureMessaging.Server.Platform;

namespace SecureMessaging.Tests.Platform;

public sealed class WriteHandoverTests
{
    [Fact]
    public async Task What_is_left_to_others_is_done_once_in_order_and_one_batch_ahead_at_most()
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
    public void What_others_do_not_begin_with_is_done_by_whoever_left_it()
    {
        var done = new List<int>();
        var late = new List<IThreadPoolWorkItem>();
        var handover = new WriteHandover(late.Add);
        handover.Exchange([new Write(() => done.Add(1))]);
        handover.Exchange([new Write(() => done.Add(2))]);
        Assert.Equal([1], done);
        // Two turns, of which the first finds all that is left, and the second nothing.
        late.ForEach(writes => writes.Execute());
        Assert.Equal([1, 2], done);
    }

    private sealed class Write(Action action) : IThreadPoolWorkItem
    {
        public void Execute() => action();
    }
}
