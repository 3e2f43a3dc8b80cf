using System.Diagnostics.CodeAnalysis;

namespace SecureMessaging.Server.RoomLog;

/// <summary>
/// Rooms that another transaction had locked when the writer came, and the sends that wait for each of them in their order. Each batch tries the first send of
/// some of these rooms again, so that no room waits for another.
/// </summary>
/// <remarks>The writer alone changes it. <see cref="Waiting"/> may be called by any thread.</remarks>
internal sealed class LockedRooms
{
    private readonly Lock gate = new();
    private readonly Dictionary<Guid, Queue<SendPart>> rooms = [];
    private readonly Queue<Guid> turns = new();

    public bool IsEmpty => rooms.Count == 0;

    public SendPart[] Waiting()
    {
        lock (gate)
            return [.. rooms.Values.SelectMany(parts => parts)];
    }

    /// <summary>Number of sends that wait for the room.</summary>
    public int CountOf(Guid roomId) => rooms.TryGetValue(roomId, out var parts) ? parts.Count : 0;

    /// <summary>Lets the part wait behind those that wait for its room. False: none does.</summary>
    public bool TryWait(SendPart part)
    {
        if (rooms.Count == 0 || !rooms.TryGetValue(part.RoomId, out var parts))
            return false;
        lock (gate)
            parts.Enqueue(part);
        return true;
    }

    /// <summary>The writer found the room of this part locked.</summary>
    public void Add(SendPart part)
    {
        if (rooms.TryGetValue(part.RoomId, out var parts) && ReferenceEquals(parts.Peek(), part))
            return;
        lock (gate)
        {
            if (parts is null)
            {
                rooms.Add(part.RoomId, parts = new Queue<SendPart>());
                turns.Enqueue(part.RoomId);
            }

            parts.Enqueue(part);
        }
    }

    /// <summary>The first parts of up to so many rooms, each room in its turn.</summary>
    public IEnumerable<SendPart> Next(int most)
    {
        for (var i = Math.Min(most, rooms.Count); i > 0; i--)
        {
            var roomId = turns.Dequeue();
            turns.Enqueue(roomId);
            yield return rooms[roomId].Peek();
        }
    }

    /// <summary>The room of this part, which was the first, is no longer locked. Returns the parts that waited behind it.</summary>
    public bool TryRelease(SendPart part, [NotNullWhen(true)] out IReadOnlyCollection<SendPart>? behind)
    {
        behind = null;
        if (rooms.Count == 0 || !rooms.TryGetValue(part.RoomId, out var parts) || !ReferenceEquals(parts.Peek(), part))
            return false;
        lock (gate)
        {
            parts.Dequeue();
            rooms.Remove(part.RoomId);
        }

        for (var i = turns.Count; i > 0; i--)
        {
            if (turns.Dequeue() is var roomId && roomId != part.RoomId)
                turns.Enqueue(roomId);
        }

        behind = parts;
        return true;
    }
}
