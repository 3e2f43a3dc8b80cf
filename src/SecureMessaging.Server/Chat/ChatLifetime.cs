using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// SignalR's own lifetime manager, which also hands each connection to the tails: at connect it is subscribed to all rooms of its user, before its first
/// call is handled.
/// </summary>
internal sealed class ChatLifetime(ChatEntrance entrance, ServerMetrics metrics, ILogger<HubChatConnection> failures, ILogger<DefaultHubLifetimeManager<ChatHub>> logger)
    : DefaultHubLifetimeManager<ChatHub>(logger)
{
    public override async Task OnConnectedAsync(HubConnectionContext connection)
    {
        await base.OnConnectedAsync(connection);
        var chat = new HubChatConnection(connection, connection.Features.GetRequiredFeature<HubSocket>(), metrics, failures);
        connection.Features.Set(chat);
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
