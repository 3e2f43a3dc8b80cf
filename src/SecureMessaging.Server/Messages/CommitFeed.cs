using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Messages;

/// <summary>A stretch of a room's log that is durable.</summary>
internal readonly record struct CommittedEntries(Guid RoomId, LogEntry[] Entries);

/// <summary>
/// Carries what was committed on this node to the tails that deliver it. Only ever fed after a commit; losing an item costs time, never an entry,
/// because the tails read the log wherever they see a gap.
/// </summary>
internal sealed class CommitFeed
{
    private Func<CommittedEntries, ValueTask>[] receivers = [];

    /// <summary>A room whose log may go on beyond what was published: a commit whose outcome is unknown, or one that an earlier attempt made.</summary>
    public event Action<Guid>? Doubted;

    /// <summary>A message of this room was committed on this node, sent by this account: known here and now, stored nowhere. Called on the thread of the writer, so it must return at once.</summary>
    public event Action<Guid, Guid>? Sent;

    public void Attach(Func<CommittedEntries, ValueTask> receiver) => receivers = [.. receivers, receiver];

    /// <summary>Waits while a receiver is full, which is how slow fan-out slows the writer down instead of growing memory.</summary>
    public async ValueTask PublishAsync(Guid roomId, params LogEntry[] entries)
    {
        if (entries.Length == 0)
            return;
        foreach (var receiver in receivers)
            await receiver(new CommittedEntries(roomId, entries));
    }

    public void NoteSent(Guid roomId, Guid senderId) => Sent?.Invoke(roomId, senderId);

    public void Doubt(Guid roomId) => Doubted?.Invoke(roomId);

    /// <summary>Runs a write of the room's log. When nobody can say whether it took effect, the tails look.</summary>
    public async Task<T> WriteAsync<T>(Guid roomId, Func<Task<T>> write)
    {
        try
        {
            return await write();
        }
        catch (Exception exception) when (exception is not ApiException { Code: not ErrorCode.Unavailable })
        {
            Doubt(roomId);
            throw;
        }
    }
}
