using System.Collections.Concurrent;
using System.Collections.Immutable;

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

    public IEnumerable<ChatConnection> OfSession(Guid sessionId) => All().Where(connection => connection.SessionId == sessionId);

    public IEnumerable<ChatConnection> All() => byUser.Values.SelectMany(connections => connections);
}
