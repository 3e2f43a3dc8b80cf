using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Doors.Hub.Transport;
using SecureMessaging.Server.Platform.Diagnostics;

namespace SecureMessaging.Server.Doors.Hub;

/// <summary>SignalR's lifetime manager, which also subscribes each connection to all rooms of its user before its first call.</summary>
internal sealed class HubLifetime(
    SubscriberRegistry registry, ServerMetrics metrics, ILogger<HubSubscriber> failures, ILogger<DefaultHubLifetimeManager<ChatHub>> logger)
    : DefaultHubLifetimeManager<ChatHub>(logger)
{
    public override async Task OnConnectedAsync(HubConnectionContext connection)
    {
        await base.OnConnectedAsync(connection);
        var chat = new HubSubscriber(connection, connection.Features.GetRequiredFeature<HubWebSocket>(), metrics, failures);
        connection.Features.Set(chat);
        try
        {
            if (!await registry.EnterAsync(chat, connection.ConnectionAborted))
                connection.Abort();
        }
        catch (OperationCanceledException) when (connection.ConnectionAborted.IsCancellationRequested)
        {
            // The client disconnected during its registration.
        }
    }

    public override Task OnDisconnectedAsync(HubConnectionContext connection)
    {
        if (connection.Features.Get<HubSubscriber>() is { } chat)
            registry.Leave(chat);
        return base.OnDisconnectedAsync(connection);
    }
}
