using System.Collections.Concurrent;
using System.Collections.Immutable;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Encryption;

namespace SecureMessaging.Server.Delivery;

/// <summary>The connections of this node, by user.</summary>
internal sealed class Subscribers
{
    private readonly ConcurrentDictionary<Guid, ImmutableArray<Subscriber>> byUser = new();

    public void Add(Subscriber connection) =>
        byUser.AddOrUpdate(connection.UserId, _ => [connection], (_, others) => others.Add(connection));

    public void Remove(Subscriber connection)
    {
        var left = byUser.AddOrUpdate(connection.UserId, _ => [], (_, others) => others.Remove(connection));
        if (left.IsEmpty)
            byUser.TryRemove(KeyValuePair.Create(connection.UserId, left));
    }

    public ImmutableArray<Subscriber> Of(Guid userId) => byUser.GetValueOrDefault(userId, []);

    public bool IsEmpty => byUser.IsEmpty;

    public void EndSession(Guid sessionId, SessionEndReason reason)
    {
        var ended = new SessionEnded(reason);
        foreach (var connection in All().Where(connection => connection.SessionId == sessionId))
            connection.End(ended);
    }

    public void HintDevice(DeviceHint hint)
    {
        var own = Of(hint.UserId);
        if (own.IsEmpty)
            return;
        var ephemeral = new DeviceHinted(hint);
        foreach (var connection in own)
            connection.SendEphemeral(ephemeral);
    }

    /// <summary>Asks every connection to move within this time, each at a random moment. Returns the number of connections.</summary>
    public int AnnounceDraining(TimeSpan within)
    {
        var all = All().ToList();
        foreach (var connection in all)
            connection.Drain(TimeSpan.FromMilliseconds(Random.Shared.Next((int)within.TotalMilliseconds + 1)));
        return all.Count;
    }

    public IEnumerable<Subscriber> All() => byUser.Values.SelectMany(connections => connections);
}
