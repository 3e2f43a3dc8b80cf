namespace SecureMessaging.Client;

/// <summary>What a <see cref="ClientWarning"/> is about.</summary>
public enum ClientWarningKind
{
    /// <summary>A connection could not be made or was lost. The client goes on trying.</summary>
    Connection = 0,

    /// <summary>The access token could not be renewed yet. The client goes on trying.</summary>
    Renewal,

    /// <summary>The store could not be read or written.</summary>
    Store,

    /// <summary>A log could not be read. The client goes on trying.</summary>
    Reading,

    /// <summary>Queued messages could not be sent yet. The client goes on trying.</summary>
    Sending,

    /// <summary>An event handler of the application threw an exception.</summary>
    Handler,

    /// <summary>The client has stopped: a defect of the SDK.</summary>
    Stopped,
}

/// <summary>Something failed and the client copes. What a caller awaits is thrown there and does not come here.</summary>
/// <param name="Kind">What it is about.</param>
/// <param name="Message">A sentence for a developer, without content or tokens.</param>
/// <param name="Exception">What was thrown, if something was.</param>
/// <param name="RoomId">Which room, where it is about one.</param>
public sealed record ClientWarning(ClientWarningKind Kind, string Message, Exception? Exception = null, Guid? RoomId = null);

/// <summary>Where the parts of a client report what they cope with.</summary>
internal sealed class Warnings
{
    public event Action<ClientWarning>? Raised;

    public void Raise(ClientWarningKind kind, string message, Exception? exception = null, Guid? roomId = null) =>
        Raised?.Invoke(new(kind, message, exception, roomId));
}
