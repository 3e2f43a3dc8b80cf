using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Messages;

/// <summary>Gathers entries until the next would exceed <see cref="Limits.PageBytes"/>; the first always fits.</summary>
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
