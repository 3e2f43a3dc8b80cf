using System.Runtime.CompilerServices;
using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed record RoomChanged(Guid RoomId, RoomChange Change);

internal sealed class RoomChangeType() : WireEnumType<RoomChange>("The change of the caller's membership or of the room.");

internal sealed class RoomEntriesType : OutputType<RoomEntries>
{
    public RoomEntriesType(RoomStore rooms)
        : base(
            "RoomEntries", "Entries of one room. They follow the previous ones without a gap, unless firstSeq shows that the entries between cannot be read.")
    {
        Value<IdGraphType>("roomId", entries => entries.RoomId, "The room.");
        Required<ListGraphType<NonNullGraphType<LogEntryType>>>("entries", "Oldest first.").Resolve(context => context.Source.Entries);
        Value<LongType>("headSeq", entries => entries.HeadSeq, "Seq of the newest known entry. When it arrives, the replay is complete.");
        Value<LongType>("firstSeq", entries => entries.FirstSeq, "Seq of the oldest entry that the caller can read.");
        this.AddRoom(rooms, entries => entries.RoomId);
    }
}

internal sealed class RoomChangedType : OutputType<RoomChanged>
{
    public RoomChangedType(RoomStore rooms)
        : base("RoomChanged", "A change of the set of the caller's rooms.")
    {
        Value<IdGraphType>("roomId", changed => changed.RoomId, "The room.");
        Value<RoomChangeType>("change", changed => changed.Change, "The change.");
        this.AddRoom(rooms, changed => changed.RoomId);
    }
}

/// <summary>Subscriptions to rooms and their logs. They run on WebSockets.</summary>
internal sealed class SubscriptionFields(LogStore log) : IRootFields
{
    private const int Cost = 100;
    private const int UsualRun = 20;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        subscription.Required<RoomEntriesType>(
            "roomEntries", "The room's log after a cursor. Completes when the caller is no longer a member, after the entry that removes it.")
            .Costs(Cost, UsualRun)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<LongType>("afterSeq", "The seq of the last entry that the client has, 0 for all readable entries. Null: starts with the next entry.")
            .ResolveStreamAsync(async context => await FollowRoomAsync(context, context.Operation(), context.Caller()));
        subscription.Required<RoomEntriesType>("entries", "The logs of all rooms of the caller, including rooms that it joins later.")
            .Costs(Cost, UsualRun)
            .Argument<ListGraphType<NonNullGraphType<RoomCursorInput>>>(
                "after",
                "The last entry that the client has of each room. A room that is not listed starts with its first readable entry. "
                + "Null: all rooms start with the next entry.")
            .ResolveStreamAsync(async context => await FollowRoomsAsync(context, context.Operation(), context.Caller()));
        subscription.Required<RoomChangedType>("roomChanges", "Rooms that the caller joins or leaves, and deleted rooms.")
            .Costs(Cost)
            .Argument<ListGraphType<NonNullGraphType<IdGraphType>>>(
                "known", "The rooms that the client knows. The changes since then come first. Null: no replay.")
            .ResolveStreamAsync(async context => await FollowChangesAsync(context, context.Operation(), context.Caller()));
    }

    private async Task<IObservable<object>> FollowRoomAsync(IResolveFieldContext context, SocketOperation operation, Caller caller)
    {
        var roomId = context.Id("roomId");
        var stream = operation.Own(new EntryStream(caller, log, operation.Own(operation.Subscriber.Feed(roomId, FeedKind.Entries))));
        // Also rejects a caller that is not a member.
        var now = await log.SyncAsync(caller, roomId, Positions.Most, 1, context.CancellationToken);
        return operation.Stream(stream.RoomAsync(new RoomStart(roomId, Start(context.GetArgument<long?>("afterSeq"), now.HeadSeq), now.HeadSeq, now.FirstSeq)));
    }

    private async Task<IObservable<object>> FollowRoomsAsync(IResolveFieldContext context, SocketOperation operation, Caller caller)
    {
        var given = context.GetArgument<RoomCursor[]?>("after");
        if (given?.DistinctBy(cursor => cursor.RoomId).Count() < given?.Length)
            throw ApiException.Invalid("after lists a room twice.", "after");
        var after = given?.ToDictionary(cursor => cursor.RoomId, cursor => cursor.AfterSeq);
        var stream = operation.Own(new EntryStream(caller, log, operation.Own(operation.Subscriber.Feed(null, FeedKind.Entries))));
        var heads = await log.HeadsAsync(caller, context.CancellationToken);
        return operation.Stream(stream.RoomsAsync(
            [.. heads.Select(head => new RoomStart(
                head.RoomId, after is null ? head.HeadSeq : Start(after.GetValueOrDefault(head.RoomId), head.HeadSeq), head.HeadSeq, head.FirstSeq))]));
    }

    private async Task<IObservable<object>> FollowChangesAsync(IResolveFieldContext context, SocketOperation operation, Caller caller)
    {
        var known = context.GetArgument<object[]?>("known")?.Select(id => Given.Id("known", id)).ToHashSet();
        var feed = operation.Own(operation.Subscriber.Feed(null, FeedKind.Changes));
        var now = (await log.HeadsAsync(caller, context.CancellationToken)).Select(head => head.RoomId).ToHashSet();
        return operation.Stream(ChangesAsync(feed, known ?? now, now));
    }

    /// <summary>First the difference between the known and the current rooms, then each change. Changes that repeat the current state are skipped.</summary>
    private static async IAsyncEnumerable<RoomChanged> ChangesAsync(
        DeliveryFeed feed, HashSet<Guid> known, HashSet<Guid> rooms, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        foreach (var joined in rooms.Except(known))
            yield return new RoomChanged(joined, RoomChange.Joined);
        foreach (var left in known.Except(rooms))
            yield return new RoomChanged(left, RoomChange.Left);
        var current = rooms.ToHashSet();
        while (true)
        {
            var next = await feed.TakeAsync(cancellationToken);
            if (next.Change is { } change && (change == RoomChange.Joined ? current.Add(next.RoomId) : current.Remove(next.RoomId)))
                yield return new RoomChanged(next.RoomId, change);
        }
    }

    /// <summary>A cursor beyond the head belongs to another log. The client would wait for entries that never come.</summary>
    private static long Start(long? afterSeq, long headSeq) => afterSeq switch
    {
        null => headSeq,
        { } seq when seq > headSeq => throw ApiException.Invalid("afterSeq is greater than the room's newest seq.", "afterSeq"),
        { } seq => seq,
    };
}

internal static class EventRoom
{
    public static void AddRoom<TSource>(this OutputType<TSource> type, RoomStore rooms, Func<TSource, Guid> roomId) =>
        type.Optional<RoomType>("room", "The current room. Null: the caller is no longer a member.").ResolveAsync(async context =>
        {
            try
            {
                return await rooms.GetAsync(context.Caller(), roomId(context.Source), context.CancellationToken);
            }
            catch (ApiException exception) when (exception.Code == ErrorCode.NotFound)
            {
                return null;
            }
        });
}
