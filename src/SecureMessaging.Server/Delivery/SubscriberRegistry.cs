using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform.Diagnostics;

namespace SecureMessaging.Server.Delivery;

/// <summary>Registers connections of every protocol by user and session, and subscribes them to all rooms of their user.</summary>
internal sealed class SubscriberRegistry(
    Subscribers connections, DeliveryShards shards, MembershipStore memberships, SessionStore sessions, ServerMetrics metrics)
{
    /// <summary>False: the session ended. The caller must call <see cref="Leave"/> in either case.</summary>
    public async Task<bool> EnterAsync(Subscriber connection, CancellationToken aborted)
    {
        // Registered first, checked second: a session that ends in between either finds the connection here, or the check below sees its end.
        connections.Add(connection);
        metrics.ConnectionOpened();
        if (await sessions.FindLiveAsync(connection.SessionId, aborted) is null)
            return false;
        await SubscribeAsync(connection, aborted);
        return true;
    }

    public void Leave(Subscriber connection)
    {
        connections.Remove(connection);
        metrics.ConnectionClosed();
        shards.Unsubscribe(connection);
    }

    private async Task SubscribeAsync(Subscriber connection, CancellationToken aborted)
    {
        foreach (var membership in await memberships.ListAsync(connection.UserId, aborted))
        {
            var current = membership;
            while (current is not null && !await shards.SubscribeAsync(current.RoomId, connection, current.JoinedSeq, current.LastSeq, aborted))
                current = await memberships.FindAsync(connection.UserId, membership.RoomId, aborted);
        }

        // Entries committed between reading the memberships and subscribing may have found no delivery here.
        foreach (var membership in await memberships.ListAsync(connection.UserId, aborted))
            shards.NoteHead(membership.RoomId, membership.LastSeq);
        connection.Settle();
    }
}
