using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Devices;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>Lets connections of every kind in and out: known by user and session, subscribed to the tails of all rooms of their user.</summary>
internal sealed class ChatEntrance
{
    private readonly ChatConnections connections;
    private readonly RoomTails tails;
    private readonly MembershipStore memberships;
    private readonly SessionStore sessions;
    private readonly ServerMetrics metrics;

    public ChatEntrance(
        ChatConnections connections, RoomTails tails, MembershipStore memberships, SessionStore sessions, SessionEvents sessionEvents, DeviceEvents deviceEvents,
        ServerMetrics metrics)
    {
        (this.connections, this.tails, this.memberships, this.sessions, this.metrics) = (connections, tails, memberships, sessions, metrics);
        sessionEvents.Ended += connections.EndSession;
        deviceEvents.Nudged += connections.Nudge;
    }

    /// <summary>False: the session is over. In any case <see cref="Leave"/> is due when the connection is.</summary>
    public async Task<bool> EnterAsync(ChatConnection connection, CancellationToken aborted)
    {
        // Known first, checked after: a session that ends in between either finds the connection here or is found ended below.
        connections.Add(connection);
        metrics.ConnectionOpened();
        if (await sessions.FindLiveAsync(connection.SessionId, aborted) is null)
            return false;
        await SubscribeAsync(connection, aborted);
        return true;
    }

    public void Leave(ChatConnection connection)
    {
        connections.Remove(connection);
        metrics.ConnectionClosed();
        tails.Unsubscribe(connection);
    }

    private async Task SubscribeAsync(ChatConnection connection, CancellationToken aborted)
    {
        foreach (var membership in await memberships.ListAsync(connection.UserId, aborted))
        {
            var current = membership;
            while (current is not null && !await tails.SubscribeAsync(current.RoomId, connection, current.JoinedSeq, current.LastSeq, aborted))
                current = await memberships.FindAsync(connection.UserId, membership.RoomId, aborted);
        }

        // What was committed between reading the memberships and subscribing reached no tail that was not there yet.
        foreach (var membership in await memberships.ListAsync(connection.UserId, aborted))
            tails.NoteHead(membership.RoomId, membership.LastSeq);
        connection.Settle();
    }
}
