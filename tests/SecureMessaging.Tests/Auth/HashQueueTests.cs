using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Tests.Auth;

/// <summary>The queue of password hashes: bounds, order and dropped work.</summary>
public sealed class HashQueueTests
{
    private readonly List<string> order = [];

    [Fact]
    public async Task Requesters_take_turns_however_many_hashes_one_of_them_requests()
    {
        var queue = new HashQueue(slots: 1, capacity: 10);
        using var block = new ManualResetEventSlim();
        var (flooder, other) = (Guid.NewGuid(), Guid.NewGuid());
        var first = RunAsync(queue, new Requester(flooder), "first", block);
        var waits = Enumerable.Range(0, 5).Select(i => RunAsync(queue, new Requester(flooder), $"flood {i}")).ToList();
        waits.Add(RunAsync(queue, new Requester(other), "other"));
        block.Set();
        await Task.WhenAll([first, .. waits]);
        Assert.InRange(order.IndexOf("other"), 1, 2);
    }

    [Fact]
    public async Task A_full_queue_drops_work_of_the_requester_that_fills_it()
    {
        var queue = new HashQueue(slots: 1, capacity: 4);
        using var block = new ManualResetEventSlim();
        var (flooder, other) = (Guid.NewGuid(), Guid.NewGuid());
        var first = RunAsync(queue, new Requester(flooder), "first", block);
        var flood = Enumerable.Range(0, 4).Select(i => RunAsync(queue, new Requester(flooder), $"flood {i}")).ToList();
        var others = Enumerable.Range(0, 2).Select(i => RunAsync(queue, new Requester(other), $"other {i}")).ToList();
        var late = RunAsync(queue, new Requester(other), "one too many");
        var refusal = await Assert.ThrowsAsync<ApiException>(() => late);
        Assert.Equal(ErrorCode.Overloaded, refusal.Code);
        block.Set();
        await Task.WhenAll([first, .. others]);
        foreach (var (task, i) in flood.Select((task, i) => (task, i)))
        {
            if (i < 2)
                await task;
            else
                await Assert.ThrowsAsync<ApiException>(() => task);
        }
    }

    [Fact]
    public async Task Requesters_that_a_full_queue_drops_leave_no_state()
    {
        var queue = new HashQueue(slots: 1, capacity: 3);
        using var block = new ManualResetEventSlim();
        var first = RunAsync(queue, new Requester(Guid.NewGuid()), "first", block);
        var waits = Enumerable.Range(0, 3).Select(i => RunAsync(queue, new Requester(Guid.NewGuid()), $"wait {i}")).ToList();
        for (var i = 0; i < 1000; i++)
            await Assert.ThrowsAsync<ApiException>(() => RunAsync(queue, new Requester(Guid.NewGuid()), "newcomer"));
        Assert.Equal(3, queue.Requesters);
        block.Set();
        await Task.WhenAll([first, .. waits]);
        Assert.Equal(0, queue.Requesters);
    }

    [Fact]
    public async Task Confirmations_use_at_most_half_of_the_slots()
    {
        var queue = new HashQueue(slots: 4, capacity: 100);
        using var block = new ManualResetEventSlim();
        var confirmations = Enumerable.Range(0, 20).Select(i => RunAsync(queue, Confirmation(), $"confirmation {i}", block)).ToList();
        // Each finds a free slot although confirmations wait.
        for (var i = 0; i < 10; i++)
            await RunAsync(queue, new Requester(Guid.NewGuid()), $"sign-in {i}").WaitAsync(TimeSpan.FromSeconds(20));
        Assert.DoesNotContain(order, name => name.StartsWith("confirmation", StringComparison.Ordinal));
        block.Set();
        await Task.WhenAll(confirmations);
    }

    [Fact]
    public async Task With_one_slot_the_lanes_take_turns()
    {
        var queue = new HashQueue(slots: 1, capacity: 100);
        using var block = new ManualResetEventSlim();
        var first = RunAsync(queue, Confirmation(), "first", block);
        var tasks = Enumerable.Range(0, 6).Select(_ => RunAsync(queue, Confirmation(), "c"))
            .Concat(Enumerable.Range(0, 6).Select(_ => RunAsync(queue, new Requester(Guid.NewGuid()), "s"))).ToList();
        block.Set();
        await Task.WhenAll([first, .. tasks]);
        Assert.Contains(string.Concat(order.Skip(1)), new[] { "scscscscscsc", "cscscscscscs" });
    }

    [Fact]
    public async Task Cancelled_waits_free_their_place_and_lose_no_slot()
    {
        var queue = new HashQueue(slots: 2, capacity: 3);
        for (var round = 0; round < 200; round++)
        {
            using var cancellation = new CancellationTokenSource();
            var tasks = Enumerable.Range(0, 5)
                .Select(i => RunAsync(queue, i % 2 == 0 ? Confirmation() : new Requester(Guid.NewGuid()), "x", cancellationToken: cancellation.Token)).ToList();
            await cancellation.CancelAsync();
            foreach (var task in tasks)
                await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }

        // The harder case: a wait is cancelled at the moment of its turn.
        var one = new HashQueue(slots: 1, capacity: 3);
        for (var round = 0; round < 300; round++)
        {
            using var held = new ManualResetEventSlim();
            using var cancellation = new CancellationTokenSource();
            var running = RunAsync(one, new Requester(Guid.NewGuid()), "x", held);
            var waiting = RunAsync(one, new Requester(Guid.NewGuid()), "x", cancellationToken: cancellation.Token);
            Parallel.Invoke(held.Set, cancellation.Cancel);
            await running.WaitAsync(TimeSpan.FromSeconds(20));
            await waiting.WaitAsync(TimeSpan.FromSeconds(20))
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }

        await RunAsync(one, new Requester(Guid.NewGuid()), "x").WaitAsync(TimeSpan.FromSeconds(20));
        using var block = new ManualResetEventSlim();
        var two = Enumerable.Range(0, 2).Select(i => RunAsync(queue, new Requester(Guid.NewGuid()), "x", block)).ToList();
        block.Set();
        await Task.WhenAll(two).WaitAsync(TimeSpan.FromSeconds(20));
    }

    private static Requester Confirmation() => new(Guid.NewGuid(), new Caller(Guid.NewGuid(), Guid.NewGuid()));

    private Task RunAsync(
        HashQueue queue, Requester requester, string name, ManualResetEventSlim? block = null, CancellationToken cancellationToken = default) => queue.RunAsync(
        requester,
        () =>
        {
            block?.Wait(CancellationToken.None);
            lock (order)
                order.Add(name);
            return 0;
        },
        cancellationToken);
}
