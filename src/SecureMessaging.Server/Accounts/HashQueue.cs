using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Accounts;

/// <summary>
/// Runs at most one password hash per processor at a time and shares the turns fairly. A flood cannot use all memory or all threads.
/// </summary>
/// <remarks>
/// 1. There are two lanes: sign-ins and sign-ups of addresses, and confirmations of accounts. Free slots go to the lanes in turn. With several slots,
///    confirmations use at most half of them.
/// 2. Within a lane the requesters take turns, regardless of how many hashes of each wait.
/// 3. Each lane has a bounded queue. When it is full, the newest wait of the requester with the most waits fails with <see cref="ErrorCode.Overloaded"/>. So a
///    flood of one requester displaces only its own waits.
/// </remarks>
internal sealed class HashQueue(int slots, int capacity)
{
    private readonly Lock gate = new();
    private readonly Lane signIns = new(slots, capacity);
    private readonly Lane confirmations = new(Math.Max(1, slots / 2), capacity);
    private int running;
    private bool confirmationIsNext;

    /// <summary>Requesters with a turn in a lane: those that wait, and those whose waits were cancelled or displaced since their last turn.</summary>
    public int Requesters
    {
        get
        {
            lock (gate)
                return signIns.Requesters + confirmations.Requesters;
        }
    }

    public async Task<T> RunAsync<T>(Requester requester, Func<T> work, CancellationToken cancellationToken)
    {
        var lane = requester.Caller is null ? signIns : confirmations;
        await EnterAsync(lane, requester.Caller?.UserId ?? requester.Address, cancellationToken);
        try
        {
            return await Task.Run(work, CancellationToken.None);
        }
        finally
        {
            Leave(lane);
        }
    }

    private async Task EnterAsync(Lane lane, Guid key, CancellationToken cancellationToken)
    {
        TaskCompletionSource turn;
        TaskCompletionSource? pushedOut;
        lock (gate)
        {
            if (running < slots && lane.MayRun && lane.Count == 0)
            {
                running++;
                lane.Running++;
                return;
            }

            (turn, pushedOut) = lane.Add(key);
        }

        pushedOut?.TrySetException(new ApiException(ErrorCode.Overloaded, "Too many password checks are in progress.") { RetryAfterMs = 1000 });
        try
        {
            await turn.Task.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            bool hadTurn;
            lock (gate)
                hadTurn = !lane.Remove(key, turn) && turn.Task.IsCompletedSuccessfully;
            if (hadTurn)
                Leave(lane);
            throw;
        }
    }

    private void Leave(Lane lane)
    {
        lock (gate)
        {
            running--;
            lane.Running--;
            while (running < slots && Next() is { } next)
            {
                confirmationIsNext = next == signIns;
                running++;
                next.Running++;
                next.Take().SetResult();
            }
        }
    }

    private Lane? Next()
    {
        var (first, second) = confirmationIsNext ? (confirmations, signIns) : (signIns, confirmations);
        return first.IsReady ? first : second.IsReady ? second : null;
    }

    private sealed class Lane(int slots, int capacity)
    {
        private readonly Dictionary<Guid, LinkedList<TaskCompletionSource>> waits = [];
        private readonly Queue<Guid> turns = new();

        public int Running { get; set; }

        public int Count { get; private set; }

        public int Requesters => waits.Count;

        public bool MayRun => Running < slots;

        public bool IsReady => MayRun && Count > 0;

        /// <summary>Adds a wait, and returns the wait that must fail for it.</summary>
        public (TaskCompletionSource Added, TaskCompletionSource? PushedOut) Add(Guid key)
        {
            var added = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            waits.TryGetValue(key, out var own);
            TaskCompletionSource? pushedOut = null;
            if (Count >= capacity)
            {
                var longest = waits.Values.MaxBy(list => list.Count);
                // Between equals the new wait fails. It leaves no state, because a flood can have any number of requesters.
                if (longest is null || longest.Count <= (own?.Count ?? 0) + 1)
                    return (added, added);
                pushedOut = longest.Last!.Value;
                longest.RemoveLast();
                Count--;
            }

            if (own is null)
            {
                waits.Add(key, own = []);
                turns.Enqueue(key);
            }

            own.AddLast(added);
            Count++;
            return (added, pushedOut);
        }

        public TaskCompletionSource Take()
        {
            while (true)
            {
                var key = turns.Dequeue();
                var own = waits[key];
                if (own.First is not { } first)
                {
                    waits.Remove(key);
                    continue;
                }

                own.RemoveFirst();
                Count--;
                if (own.Count > 0)
                    turns.Enqueue(key);
                else
                    waits.Remove(key);
                return first.Value;
            }
        }

        /// <summary>False: the wait has ended already.</summary>
        public bool Remove(Guid key, TaskCompletionSource wait)
        {
            if (!waits.TryGetValue(key, out var own) || !own.Remove(wait))
                return false;
            if (--Count > 0)
                return true;
            // Otherwise requesters without a wait would stay until their next turn.
            waits.Clear();
            turns.Clear();
            return true;
        }
    }
}
