using System.Collections.Immutable;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>Passes delivered events to the subscriptions of a GraphQL WebSocket.</summary>
internal sealed class SocketSubscriber(GraphQLSocket socket, Caller caller, ServerMetrics metrics) : Subscriber(caller.UserId, caller.SessionId)
{
    private ImmutableArray<DeliveryFeed> feeds = [];
    private ImmutableArray<HintFeed> hints = [];

    /// <summary>Starts to buffer for a subscription. Every entry committed from now on is in the feed, or its room is marked there as missed.</summary>
    public DeliveryFeed Feed(Guid? roomId, FeedKind kind)
    {
        var feed = new DeliveryFeed(this, roomId, kind, metrics);
        ImmutableInterlocked.Update(ref feeds, static (known, added) => known.Add(added), feed);
        return feed;
    }

    public void Remove(DeliveryFeed feed) => ImmutableInterlocked.Update(ref feeds, static (known, removed) => known.Remove(removed), feed);

    public HintFeed Hints()
    {
        var feed = new HintFeed(this);
        ImmutableInterlocked.Update(ref hints, static (known, added) => known.Add(added), feed);
        return feed;
    }

    public void Remove(HintFeed feed) => ImmutableInterlocked.Update(ref hints, static (known, removed) => known.Remove(removed), feed);

    public override void Abort() => socket.Abort();

    public void AbortSlow() => socket.AbortSlow();

    public override void End(SessionEnded ended) => socket.Close(SocketClose.Unauthorized, "The session has ended.");

    public override void Drain(TimeSpan after) => socket.CloseLater(after, SocketClose.ServiceRestart, "This node is stopping: connect again.");

    public override void SendEntries(EntryRun run, WriteBatch? writes)
    {
        foreach (var feed in feeds)
            feed.Offer(run);
    }

    public override void SendRoomChanged(Guid roomId, RoomChange change, long seq, WriteBatch? writes)
    {
        foreach (var feed in feeds)
            feed.Offer(roomId, change, seq);
    }

    public override void SendEphemeral(DeliveryEvent ephemeral)
    {
        if (ephemeral is SignalSent signal)
        {
            foreach (var feed in feeds)
                feed.Offer(signal.RoomId, signal.Signal);
        }
        else if (ephemeral is DeviceHinted { Hint: var hint })
        {
            foreach (var feed in hints)
                feed.Offer(hint);
        }
    }
}
