using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Admin.LiveLogs;
using SecureMessaging.Server.Cluster;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Encryption;
using SecureMessaging.Server.Notifications;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server;

/// <summary>The complete list of which feature listens to which event.</summary>
/// <remarks>Events are raised after the commit that caused them. A listener that misses an event finds the cause in the database.</remarks>
internal static class ServerEvents
{
    public static void ConnectEvents(this WebApplication app)
    {
        var services = app.Services;
        var (feed, rooms) = (services.GetRequiredService<CommitFeed>(), services.GetRequiredService<RoomEvents>());
        var (sessions, devices) = (services.GetRequiredService<SessionEvents>(), services.GetRequiredService<DeviceEvents>());

        // To the connections of this node.
        var (delivery, connections) = (services.GetRequiredService<DeliveryShards>(), services.GetRequiredService<Subscribers>());
        feed.Attach(delivery.DeliverAsync);
        feed.MarkedStale += delivery.Recheck;
        rooms.Deleted += delivery.Delete;
        sessions.Ended += connections.EndSession;
        devices.Hinted += connections.HintDevice;

        // To administrators who watch the logs on this node.
        sessions.Ended += services.GetRequiredService<LogWatchers>().EndSession;

        // To the other nodes, and from them.
        if (services.GetRequiredService<NodeBus>() is { IsEnabled: true } bus)
        {
            feed.Attach(bus.PublishAsync);
            feed.MarkedStale += bus.PublishStale;
            rooms.Deleted += bus.PublishRoomDeleted;
            sessions.Ended += bus.PublishSessionEnded;
            devices.Hinted += bus.PublishDeviceHint;
            bus.HealthChanged += services.GetRequiredService<ReconcilerSchedule>().WakeForAll;
            bus.Noticed += services.GetRequiredService<Reconciler>().Note;
        }

        // To browsers without a connection.
        if (services.GetRequiredService<PushService>() is { IsEnabled: true } pushes)
            feed.Sent += pushes.Note;
    }
}
