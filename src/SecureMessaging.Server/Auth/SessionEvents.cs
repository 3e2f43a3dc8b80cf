using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Auth;

/// <summary>Tells whoever holds sockets that a session is over. Raised after the database says so.</summary>
internal sealed class SessionEvents
{
    public event Action<Guid, SessionEndReason>? Ended;

    public void RaiseEnded(Guid sessionId, SessionEndReason reason) => Ended?.Invoke(sessionId, reason);
}
