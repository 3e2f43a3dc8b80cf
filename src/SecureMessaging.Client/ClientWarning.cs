namespace SecureMessaging.Client;

/// <summary>The kinds of <see cref="ClientWarning"/>.</summary>
public enum ClientWarningKind
{
    /// <summary>A connection could not be made or was lost. The client retries.</summary>
    Connection = 0,

    /// <summary>The access token could not be renewed yet. The client retries.</summary>
    Renewal,

    /// <summary>The store could not be read or written.</summary>
    Store,

    /// <summary>A log could not be read. The client retries.</summary>
    Reading,

    /// <summary>Queued messages could not be sent yet. The client retries.</summary>
    Sending,

    /// <summary>An event handler of the application threw an exception.</summary>
    Handler,

    /// <summary>The client has stopped: a defect of the SDK.</summary>
    Stopped,
}

/// <summary>A failure that the client handles. Failures of a call are thrown by the call instead.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Message">A sentence for a developer, without content or tokens.</param>
/// <param name="Exception">The exception, if there is one.</param>
/// <param name="RoomId">The room, if it concerns one.</param>
public sealed record ClientWarning(ClientWarningKind Kind, string Message, Exception? Exception = null, Guid? RoomId = null);

/// <summary>Collects the warnings of the parts of a client.</summary>
internal sealed class Warnings
{
    public event Action<ClientWarning>? Raised;

    public void Raise(ClientWarningKind kind, string message, Exception? exception = null, Guid? roomId = null) =>
        Raised?.Invoke(new(kind, message, exception, roomId));
}
