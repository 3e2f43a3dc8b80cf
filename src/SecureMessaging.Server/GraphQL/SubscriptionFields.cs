using System.Runtime.CompilerServices;
using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.GraphQL;

/// <summary>A change of the set of the caller's rooms.</summary>
internal sealed record RoomChanged(Guid RoomId, RoomChange Change);

internal sealed class RoomChangeType() : WireEnumType<RoomChange>("What became of the caller's membership, or of the room.");

internal sealed class RoomEntriesType : OutputType<RoomEntries>
{
    public RoomEntriesType(RoomStore rooms)
        : base("RoomEntries", "Entries of one room, contiguous with the ones before unless firstSeq says that what lies between never comes.")
    {
        Value<IdGraphType>("roomId", entries => entries.RoomId, "The room.");
        Required<ListGraphType<NonNullGraphType<LogEntryType>>>("entries", "Oldest first.").Resolve(context => context.Source.Entries);
        Value<LongType>("headSeq", entries => entries.HeadSeq, "Seq of the newest entry known: once it is here, the replay is over.");
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
        Value<RoomChangeType>("change", changed => changed.Change, "What became of it.");
        this.AddRoom(rooms, changed => changed.RoomId);
    }
}

/// <summary>Live queries, over sockets.</summary>
internal sealed class SubscriptionFields(LogStore log) : IRootFields
{
    private const int Cost = 100;
    private const int UsualRun = 20;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        subscription.Required<RoomEntriesType>("roomEntries", "The room's log from a cursor on. Completes when the caller is no longer a member, right after the entry that says so.")
            .Costs(Cost, UsualRun)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<LongType>("afterSeq", "The seq of the last entry that the client has, 0 for all that can be read; null begins with the next entry.")
            .ResolveStreamAsync(async context => await FollowRoomAsync(context, context.Operation(), context.Caller()));
        subscription.Required<RoomEntriesType>("entries", "The logs of all rooms of the caller, those included that it joins on the way.")
            .Costs(Cost, UsualRun)
            .Argument<ListGraphType<NonNullGraphType<RoomCursorInput>>>(
                "after", "How far the client knows its rooms: one that is not named begins with the first entry that can be read. Null: all begin with the next entry.")
            .ResolveStreamAsync(async context => await FollowRoomsAsync(context, context.Operation(), context.Caller()));
        subscription.Required<RoomChangedType>("roomChanges", "Who comes into a room, is taken out, or whose room is deleted: the caller.")
            .Costs(Cost)
            .Argument<ListGraphType<NonNullGraphType<IdGraphType>>>("known", "The rooms that the client knows: first comes what has changed since. Null: nothing is replayed.")
            .ResolveStreamAsync(async context => await FollowChangesAsync(context, context.Operation(), context.Caller()));
    }

    private async Task<IObservable<object>> FollowRoomAsync(IResolveFieldContext context, SocketOperation operation, Caller caller)
    {
        var roomId = context.Id("roomId");
        var stream = operation.Own(new EntryStream(caller, log, operation.Own(operation.Chat.Feed(roomId, FeedKind.Entries))));
        // Also refuses who may not read.
        var now = await log.SyncAsync(caller, roomId, Positions.Most, 1, context.CancellationToken);
        return operation.Stream(stream.RoomAsync(new RoomStart(roomId, Start(context.GetArgument<long?>("afterSeq"), now.HeadSeq), now.HeadSeq, now.FirstSeq)));
    }

    private async Task<IObservable<object>> FollowRoomsAsync(IResolveFieldContext context, SocketOperation operation, Caller caller)
    {
        var given = context.GetArgument<RoomCursor[]?>("after");
        if (given?.DistinctBy(cursor => cursor.RoomId).Count() < given?.Length)
            throw ApiException.Invalid("after names a room twice.", "after");
        var after = given?.ToDictionary(cursor => cursor.RoomId, cursor => cursor.AfterSeq);
        var stream = operation.Own(new EntryStream(caller, log, operation.Own(operation.Chat.Feed(null, FeedKind.Entries))));
        var heads = await log.HeadsAsync(caller, context.CancellationToken);
        return operation.Stream(stream.RoomsAsync(
            [.. heads.Select(head => new RoomStart(
                head.RoomId, after is null ? head.HeadSeq : Start(after.GetValueOrDefault(head.RoomId), head.HeadSeq), head.HeadSeq, head.FirstSeq))]));
    }

    private async Task<IObservable<object>> FollowChangesAsync(IResolveFieldContext context, SocketOperation operation, Caller caller)
    {
        var known = context.GetArgument<object[]?>("known")?.Select(id => Given.Id("known", id)).ToHashSet();
        var feed = operation.Own(operation.Chat.Feed(null, FeedKind.Changes));
        var now = (await log.HeadsAsync(caller, context.CancellationToken)).Select(head => head.RoomId).ToHashSet();
        return operation.Stream(ChangesAsync(feed, known ?? now, now));
    }

    /// <summary>What was known is brought to what is; then each change that truly is one.</summary>
    private static async IAsyncEnumerable<RoomChanged> ChangesAsync(
        TailFeed feed, HashSet<Guid> known, HashSet<Guid> rooms, [EnumeratorCancellation] CancellationToken cancellationToken = default)
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

    /// <summary>A client that has more than there is holds another log's cursor; it would wait for entries that it never gets to see.</summary>
    private static long Start(long? afterSeq, long headSeq) => afterSeq switch
    {
        null => headSeq,
        { } seq when seq > headSeq => throw ApiException.Invalid("afterSeq is beyond the log.", "afterSeq"),
        { } seq => seq,
    };

}

/// <summary>The room of an event.</summary>
internal static class EventRoom
{
    public static void AddRoom<TSource>(this OutputType<TSource> type, RoomStore rooms, Func<TSource, Guid> roomId) =>
        type.Optional<RoomType>("room", "The room as it is now; null when the caller is in it no more.").ResolveAsync(async context =>
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
