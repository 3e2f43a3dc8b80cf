using System.Collections.Immutable;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Chat;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.GraphQL;

/// <summary>A GraphQL socket as the tails see it: hands what they deliver to the subscriptions that run on the socket.</summary>
internal sealed class SocketChatConnection(Socket socket, Caller caller, ServerMetrics metrics) : ChatConnection(caller.UserId, caller.SessionId)
{
    private ImmutableArray<TailFeed> feeds = [];
    private ImmutableArray<NudgeFeed> nudges = [];

    /// <summary>Begins to gather for a subscription. Whatever is committed from now on is in the feed, or noted there as missed.</summary>
    public TailFeed Feed(Guid? roomId, FeedKind kind)
    {
        var feed = new TailFeed(this, roomId, kind, metrics);
        ImmutableInterlocked.Update(ref feeds, static (known, added) => known.Add(added), feed);
        return feed;
    }

    public void Remove(TailFeed feed) => ImmutableInterlocked.Update(ref feeds, static (known, removed) => known.Remove(removed), feed);

    /// <summary>Begins to gather what the caller's devices should look after.</summary>
    public NudgeFeed Nudges()
    {
        var feed = new NudgeFeed(this);
        ImmutableInterlocked.Update(ref nudges, static (known, added) => known.Add(added), feed);
        return feed;
    }

    public void Remove(NudgeFeed feed) => ImmutableInterlocked.Update(ref nudges, static (known, removed) => known.Remove(removed), feed);

    public override void Abort() => socket.Abort();

    public override void End(SerializedHubMessage farewell) => socket.Close(SocketClose.Unauthorized, "The session is over.");

    public override void Drain(TimeSpan after) => socket.CloseLater(after, SocketClose.ServiceRestart, "This node is stopping: connect again.");

    public override void SendEntries(EntryRun run)
    {
        foreach (var feed in feeds)
            feed.Offer(run);
    }

    public override void SendRoomChanged(Guid roomId, RoomChange change)
    {
        foreach (var feed in feeds)
            feed.Offer(roomId, change);
    }

    public override void SendEphemeral(Ephemeral ephemeral)
    {
        if (ephemeral is SignalEphemeral signal)
        {
            foreach (var feed in feeds)
                feed.Offer(signal.RoomId, signal.Signal);
        }
        else if (ephemeral is NudgeEphemeral { Nudge: var nudge })
        {
            foreach (var feed in nudges)
                feed.Offer(nudge);
        }
    }
}
