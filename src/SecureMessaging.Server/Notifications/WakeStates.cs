namespace SecureMessaging.Server.Notifications;

/// <summary>
/// Which sessions were woken, and which have yet to be: one push for each session at a time and in an interval. What comes in between is made up for by
/// one more push when the interval is over, unless the session has connected by then. Kept in memory, bounded.
/// </summary>
internal sealed class WakeStates(TimeSpan interval)
{
    public const int MaxSessions = 100_000;
    private const int MaxFailures = 5;
    private const int MaxDoublings = 6;
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromHours(1);

    private readonly Lock gate = new();
    private readonly Dictionary<Guid, State> states = [];

    public bool IsEmpty
    {
        get
        {
            lock (gate)
                return states.Count == 0;
        }
    }

    /// <summary>True: push now, and say by <see cref="Settle"/> what became of it. Otherwise it is remembered, or there is no room for it.</summary>
    public bool TryBegin(PushTarget target, DateTime now)
    {
        lock (gate)
        {
            if (!states.TryGetValue(target.SessionId, out var state))
            {
                if (states.Count >= MaxSessions)
                    return false;
                states.Add(target.SessionId, state = new State(target.UserId));
            }

            if (state.UnderWay || now < state.NotBefore)
            {
                state.Missed = target.RoomId;
                return false;
            }

            (state.UnderWay, state.Missed) = (true, null);
            return true;
        }
    }

    /// <summary>Notes how a push went.</summary>
    public void Settle(PushTarget target, PushAnswer answer, DateTime now)
    {
        lock (gate)
        {
            if (!states.TryGetValue(target.SessionId, out var state))
                return;
            state.UnderWay = false;
            if (answer.Outcome is PushOutcome.Gone or PushOutcome.Refused)
            {
                states.Remove(target.SessionId);
            }
            else if (answer.Outcome == PushOutcome.Taken)
            {
                (state.Failures, state.NotBefore) = (0, now + interval);
            }
            else
            {
                // Doubled no further than it counts: whoever is sent to all the time can fail for ever.
                var delay = FirstDelay * (1 << Math.Min(state.Failures, MaxDoublings));
                delay = answer.RetryAfter > delay ? answer.RetryAfter.Value : delay;
                state.NotBefore = now + (delay < LongestDelay ? delay : LongestDelay);
                // Then the next message begins anew.
                if (++state.Failures < MaxFailures)
                    state.Missed ??= target.RoomId;
                else
                    state.Missed = null;
            }
        }
    }

    /// <summary>
    /// Forgets who is connected or has been quiet for an interval. Returns who missed something and may be woken now, with the room where it was.
    /// </summary>
    public Dictionary<Guid, Guid> Sweep(DateTime now, Func<Guid, Guid, bool> isConnected)
    {
        var due = new Dictionary<Guid, Guid>();
        lock (gate)
        {
            foreach (var (sessionId, state) in states)
            {
                if (state.UnderWay)
                    continue;
                // Taken out while it is enumerated, which Dictionary allows.
                if (isConnected(state.UserId, sessionId) || (state.Missed is null && now >= state.NotBefore))
                    states.Remove(sessionId);
                else if (state.Missed is { } roomId && now >= state.NotBefore)
                    due.Add(sessionId, roomId);
            }
        }

        return due;
    }

    /// <summary>Forgets what a session missed that may not be woken for it any more.</summary>
    public void Drop(IEnumerable<Guid> sessionIds)
    {
        lock (gate)
        {
            foreach (var sessionId in sessionIds)
            {
                if (states.TryGetValue(sessionId, out var state) && !state.UnderWay)
                    state.Missed = null;
            }
        }
    }

    private sealed class State(Guid userId)
    {
        public Guid UserId { get; } = userId;

        public DateTime NotBefore { get; set; } = DateTime.MinValue;

        public bool UnderWay { get; set; }

        public Guid? Missed { get; set; }

        public int Failures { get; set; }
    }
}
