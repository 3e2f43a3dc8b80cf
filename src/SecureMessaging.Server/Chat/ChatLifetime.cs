using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// SignalR's own lifetime manager, which also hands each connection to the tails: at connect it is subscribed to all rooms of its user, before its first
/// call is handled.
/// </summary>
internal sealed class ChatLifetime(ChatEntrance entrance, ServerMetrics metrics, ILogger<DefaultHubLifetimeManager<ChatHub>> logger)
    : DefaultHubLifetimeManager<ChatHub>(logger)
{
    public override async Task OnConnectedAsync(HubConnectionContext connection)
    {
        await base.OnConnectedAsync(connection);
        var caller = Caller.From(connection.User);
        var chat = new HubChatConnection(connection, caller.UserId, caller.SessionId, metrics);
        connection.Features.Set(chat);
        // Nobody reads it any more, and it would be kept as long as the connection.
        if (connection.GetHttpContext() is { } context)
            context.Request.Headers.Authorization = default;
        try
        {
            if (!await entrance.EnterAsync(chat, connection.ConnectionAborted))
                connection.Abort();
        }
        catch (OperationCanceledException) when (connection.ConnectionAborted.IsCancellationRequested)
        {
            // It left while it was being let in.
        }
    }

    public override Task OnDisconnectedAsync(HubConnectionContext connection)
    {
        if (connection.Features.Get<HubChatConnection>() is { } chat)
            entrance.Leave(chat);
        return base.OnDisconnectedAsync(connection);
    }
}
