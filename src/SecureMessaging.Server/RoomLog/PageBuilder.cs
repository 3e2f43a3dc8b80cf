using SecureMessaging.Protocol;

namespace SecureMessaging.Server.RoomLog;

/// <summary>Collects entries up to <see cref="Limits.PageBytes"/>. The first always fits, and nothing follows an entry that did not fit.</summary>
internal sealed class PageBuilder(Limits limits, DateTime now)
{
    private int bytes;

    public List<LogEntry> Entries { get; } = [];

    public bool TryAdd(EntryRow row)
    {
        bytes += row.Ciphertext?.Length ?? 0;
        if (Entries.Count > 0 && bytes > limits.PageBytes)
            return false;
        Entries.Add(row.ToEntry(now));
        return true;
    }
}
