using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Devices;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// SignalR's own lifetime manager, which also hands each connection to the tails: at connect it is subscribed to all rooms of its user, before its first
/// call is handled.
/// </summary>
internal sealed class ChatLifetime : DefaultHubLifetimeManager<ChatHub>
{
    private readonly ChatConnections connections;
    private readonly RoomTails tails;
    private readonly MembershipStore memberships;
    private readonly SessionStore sessions;
    private readonly ServerMetrics metrics;
    private readonly TimeProvider time;

    public ChatLifetime(
        ChatConnections connections, RoomTails tails, MembershipStore memberships, SessionStore sessions, SessionEvents sessionEvents, DeviceEvents deviceEvents, ServerMetrics metrics,
        TimeProvider time, ILogger<DefaultHubLifetimeManager<ChatHub>> logger)
        : base(logger)
    {
        (this.connections, this.tails, this.memberships, this.sessions, this.metrics, this.time) = (connections, tails, memberships, sessions, metrics, time);
        sessionEvents.Ended += connections.EndSession;
        deviceEvents.Nudged += connections.Nudge;
    }

    public override async Task OnConnectedAsync(HubConnectionContext connection)
    {
        await base.OnConnectedAsync(connection);
        var caller = Caller.From(connection.User);
        var chat = new ChatConnection(connection, caller.UserId, caller.SessionId, metrics, time);
        connection.Items[typeof(ChatConnection)] = chat;
        // Known first, checked after: a session that ends in between either finds the connection here or is found ended below.
        connections.Add(chat);
        metrics.ConnectionOpened();
        if (await sessions.FindLiveAsync(caller.SessionId, connection.ConnectionAborted) is null)
        {
            connection.Abort();
            return;
        }

        try
        {
            await SubscribeAsync(chat, connection.ConnectionAborted);
        }
        catch (OperationCanceledException) when (connection.ConnectionAborted.IsCancellationRequested)
        {
            // It left while it was being let in.
        }
    }

    public override Task OnDisconnectedAsync(HubConnectionContext connection)
    {
        if (connection.Items.TryGetValue(typeof(ChatConnection), out var item) && item is ChatConnection chat)
        {
            connections.Remove(chat);
            metrics.ConnectionClosed();
            tails.Unsubscribe(chat);
        }

        return base.OnDisconnectedAsync(connection);
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
    }
}
