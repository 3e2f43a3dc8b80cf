namespace SecureMessaging.Server.Notifications;

/// <summary>
/// Limits pushes to one for each session at a time and in an interval. Messages during the interval cause one more push at its end, unless the session has
/// connected by then. The state is in memory and bounded.
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

    /// <summary>
    /// True: the caller pushes now and reports the result to <see cref="Settle"/>. False: the push is delayed, or dropped because the table is full.
    /// </summary>
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
                // The exponent is bounded, because a session can fail without end.
                var delay = FirstDelay * (1 << Math.Min(state.Failures, MaxDoublings));
                delay = answer.RetryAfter > delay ? answer.RetryAfter.Value : delay;
                state.NotBefore = now + (delay < LongestDelay ? delay : LongestDelay);
                // After that only the next message causes a push.
                if (++state.Failures < MaxFailures)
                    state.Missed ??= target.RoomId;
                else
                    state.Missed = null;
            }
        }
    }

    /// <summary>
    /// Removes sessions that are connected, or had no message for an interval. Returns sessions with a delayed push that is now due, and its room.
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
                // Dictionary allows removal during enumeration.
                if (isConnected(state.UserId, sessionId) || (state.Missed is null && now >= state.NotBefore))
                    states.Remove(sessionId);
                else if (state.Missed is { } roomId && now >= state.NotBefore)
                    due.Add(sessionId, roomId);
            }
        }

        return due;
    }

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
