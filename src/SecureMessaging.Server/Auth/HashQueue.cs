using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Auth;

/// <summary>
/// Lets at most one password hash a processor run at a time, so that a flood costs neither all memory nor all threads, and shares the turns fairly.
/// </summary>
/// <remarks>
/// 1. There are two lanes: sign-ins and sign-ups of addresses, and confirmations of accounts. Free slots go to the lanes in turn, and confirmations never hold all slots
///    where there are several: at least half of them is kept for signing in.
/// 2. Within a lane each requester has one turn after the other requesters, however many of its own hashes wait.
/// 3. Each lane has a bounded queue. When it is full, the newest wait of the requester with the most waits ends as <see cref="ErrorCode.Overloaded"/>. So a requester pushes out only itself.
/// </remarks>
internal sealed class HashQueue(int slots, int capacity)
{
    private readonly Lock gate = new();
    private readonly Lane signIns = new(slots, capacity);
    private readonly Lane confirmations = new(Math.Max(1, slots / 2), capacity);
    private int running;
    private bool confirmationIsNext;

    /// <summary>Requesters that have a turn in a lane. No more than wait, and those whose waits were cancelled or pushed out since their last turn.</summary>
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

        pushedOut?.TrySetException(new ApiException(ErrorCode.Overloaded, "Too many passwords are being checked at once.") { RetryAfterMs = 1000 });
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

        /// <summary>Requesters that have a turn.</summary>
        public int Requesters => waits.Count;

        public bool MayRun => Running < slots;

        public bool IsReady => MayRun && Count > 0;

        /// <summary>A wait, and the one that has to end for it.</summary>
        public (TaskCompletionSource Added, TaskCompletionSource? PushedOut) Add(Guid key)
        {
            var added = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            waits.TryGetValue(key, out var own);
            TaskCompletionSource? pushedOut = null;
            if (Count >= capacity)
            {
                var longest = waits.Values.MaxBy(list => list.Count);
                // Among equals the newcomer gives way, and leaves nothing behind: a flood has any number of them.
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

        /// <summary>The next wait of the requester whose turn it is.</summary>
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

        /// <summary>False: it does not wait any more.</summary>
        public bool Remove(Guid key, TaskCompletionSource wait)
        {
            if (!waits.TryGetValue(key, out var own) || !own.Remove(wait))
                return false;
            if (--Count > 0)
                return true;
            // Requesters without a wait would stay until the next turn.
            waits.Clear();
            turns.Clear();
            return true;
        }
    }
}
