using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>One thing on its way to the application: an entry, a gap in front of one, or the end of a room.</summary>
internal readonly record struct Arrival(Guid RoomId, LogEntry? Entry, long GapFrom, long GapTo, RoomChange? End);
