using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>How far the inbox has read one room's log.</summary>
internal sealed class RoomPosition
{
    /// <summary>The last entry that was queued for the application; null until the first page says where the log begins.</summary>
    public long? Cursor { get; set; }

    /// <summary>Whether the log has to be read because a push does not continue it.</summary>
    public bool Dirty { get; set; }

    public RoomChange? End { get; set; }

    public bool Ended => End is not null;
}
