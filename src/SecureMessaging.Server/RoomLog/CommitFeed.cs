using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.RoomLog;

/// <summary>Consecutive durable entries of one room's log.</summary>
internal readonly record struct CommittedEntries(Guid RoomId, LogEntry[] Entries);

/// <summary>Carries committed entries from this node's writers to its listeners.</summary>
/// <remarks>Publishing follows the commit. A lost item delays an entry and never loses it: room delivery reads the log at each gap.</remarks>
internal sealed class CommitFeed
{
    private Func<CommittedEntries, WriteBatch?, ValueTask>[] receivers = [];

    /// <summary>The room's log may continue beyond the published entries: a commit has an unknown outcome, or an earlier attempt committed.</summary>
    public event Action<Guid>? MarkedStale;

    /// <summary>An account sent a message to a room, and this node committed it. Room and account are only passed on, never stored.</summary>
    /// <remarks>Runs before the entry is delivered: a handler must return at once.</remarks>
    public event Action<Guid, Guid>? Sent;

    public void Attach(Func<CommittedEntries, WriteBatch?, ValueTask> receiver) => receivers = [.. receivers, receiver];

    public ValueTask PublishAsync(Guid roomId, params LogEntry[] entries) => PublishAsync(new CommittedEntries(roomId, entries), null);

    /// <summary>Waits while a receiver is full: slow fan-out slows the writer instead of growing memory.</summary>
    public async ValueTask PublishAsync(CommittedEntries committed, WriteBatch? writes)
    {
        if (committed.Entries.Length == 0)
            return;
        foreach (var receiver in receivers)
            await receiver(committed, writes);
    }

    public void NoteSent(Guid roomId, Guid senderId) => Sent?.Invoke(roomId, senderId);

    public void MarkStale(Guid roomId) => MarkedStale?.Invoke(roomId);

    /// <summary>Runs a write of the room's log and marks the room stale when the outcome of the write is unknown.</summary>
    public async Task<T> WriteAsync<T>(Guid roomId, Func<Task<T>> write)
    {
        try
        {
            return await write();
        }
        catch (Exception exception) when (exception is not ApiException { Code: not ErrorCode.Unavailable })
        {
            MarkStale(roomId);
            throw;
        }
    }
}
