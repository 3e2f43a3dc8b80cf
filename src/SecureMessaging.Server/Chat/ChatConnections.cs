using System.Collections.Concurrent;
using System.Collections.Immutable;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Devices;

namespace SecureMessaging.Server.Chat;

/// <summary>The connections of this node, by user.</summary>
internal sealed class ChatConnections
{
    private readonly ConcurrentDictionary<Guid, ImmutableArray<ChatConnection>> byUser = new();

    public void Add(ChatConnection connection) =>
        byUser.AddOrUpdate(connection.UserId, _ => [connection], (_, others) => others.Add(connection));

    public void Remove(ChatConnection connection)
    {
        var left = byUser.AddOrUpdate(connection.UserId, _ => [], (_, others) => others.Remove(connection));
        if (left.IsEmpty)
            byUser.TryRemove(KeyValuePair.Create(connection.UserId, left));
    }

    public ImmutableArray<ChatConnection> Of(Guid userId) => byUser.GetValueOrDefault(userId, []);

    public bool IsEmpty => byUser.IsEmpty;

    /// <summary>Says why and closes every connection of the session on this node.</summary>
    public void EndSession(Guid sessionId, SessionEndReason reason)
    {
        var farewell = HubMessages.Create(nameof(IChatClient.SessionEnded), reason);
        foreach (var connection in All().Where(connection => connection.SessionId == sessionId))
            connection.End(farewell);
    }

    /// <summary>Tells the user's connections on this node what one of its devices should look after.</summary>
    public void Nudge(DeviceNudge nudge)
    {
        var own = Of(nudge.UserId);
        if (own.IsEmpty)
            return;
        var message = nudge.Available is { } available
            ? HubMessages.Create(nameof(IChatClient.KeyPackagesLow), nudge.DeviceId, available)
            : HubMessages.Create(nameof(IChatClient.WelcomesWaiting), nudge.DeviceId);
        var ephemeral = new NudgeEphemeral(nudge, message);
        foreach (var connection in own)
            connection.SendEphemeral(ephemeral);
    }

    /// <summary>Asks every connection to move within this time, each at a moment of its own. Returns how many there are.</summary>
    public int AnnounceDraining(TimeSpan within)
    {
        var all = All().ToList();
        foreach (var connection in all)
            connection.Drain(TimeSpan.FromMilliseconds(Random.Shared.Next((int)within.TotalMilliseconds + 1)));
        return all.Count;
    }

    public IEnumerable<ChatConnection> All() => byUser.Values.SelectMany(connections => connections);
}
