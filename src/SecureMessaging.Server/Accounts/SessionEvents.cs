using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Accounts;

/// <summary>Ends the connections of a session. Raised after the end is committed.</summary>
internal sealed class SessionEvents
{
    public event Action<Guid, SessionEndReason>? Ended;

    public void RaiseEnded(Guid sessionId, SessionEndReason reason) => Ended?.Invoke(sessionId, reason);

    public void RaiseEnded(IEnumerable<Guid> sessionIds, SessionEndReason reason)
    {
        foreach (var id in sessionIds)
            RaiseEnded(id, reason);
    }
}
