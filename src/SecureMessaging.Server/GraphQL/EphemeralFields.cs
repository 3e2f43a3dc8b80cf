using System.Runtime.CompilerServices;
using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.GraphQL;

/// <summary>A signal from a member of a room.</summary>
internal sealed record Signaled(Guid RoomId, byte[] Signal);

/// <summary>What a device should look after.</summary>
internal enum DeviceNoticeKind
{
    KeyPackagesLow,
    WelcomesWaiting,
}

internal sealed record DeviceNotice(Guid DeviceId, DeviceNoticeKind Kind, int? Available);

internal sealed class DeviceNoticeKindType : EnumerationGraphType<DeviceNoticeKind>
{
    public DeviceNoticeKindType() => Description = "KEY_PACKAGES_LOW: few are left, or none, or the one of last resort was used: upload more. WELCOMES_WAITING: fetch them.";
}

internal sealed class SignaledType : OutputType<Signaled>
{
    public SignaledType(RoomStore rooms)
        : base("Signaled", "An ephemeral signal from a member of a room, stored nowhere.")
    {
        Value<IdGraphType>("roomId", signaled => signaled.RoomId, "The room.");
        Value<Base64Type>("signal", signaled => signaled.Signal, "The bytes.");
        this.AddRoom(rooms, signaled => signaled.RoomId);
    }
}

internal sealed class DeviceNoticeType : OutputType<DeviceNotice>
{
    public DeviceNoticeType()
        : base("DeviceNotice", "Something that a device of the caller should look after.")
    {
        Value<IdGraphType>("deviceId", notice => notice.DeviceId, "The device.");
        Value<DeviceNoticeKindType>("kind", notice => notice.Kind, "What it should do.");
        Nullable<IntGraphType>("available", notice => notice.Available, "With KEY_PACKAGES_LOW: how many are left.");
    }
}

/// <summary>What the hub pushes beside logs and rooms, over sockets: at most once, nothing is replayed, and a reader that is too slow misses some.</summary>
internal sealed class EphemeralFields(LogStore log) : IRootFields
{
    private const int Cost = 100;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        subscription.Required<SignaledType>("signals", "Signals from members, at most once. Of one room they complete when the caller is no longer a member.")
            .Costs(Cost)
            .Argument<IdGraphType>("roomId", "The room; null for all rooms of the caller, those included that it joins on the way.")
            .ResolveStreamAsync(async context => await FollowSignalsAsync(context, context.Operation(), context.Caller()));
        subscription.Required<DeviceNoticeType>("deviceNotices", "What the caller's devices should look after, at most once: look after connecting, too.")
            .Costs(Cost)
            .ResolveStream(context =>
            {
                context.Caller();
                var operation = context.Operation();
                return operation.Stream(NoticesAsync(operation.Own(operation.Chat.Nudges())));
            });
    }

    private async Task<IObservable<object>> FollowSignalsAsync(IResolveFieldContext context, SocketOperation operation, Caller caller)
    {
        Guid? roomId = context.GetArgument<object?>("roomId") is { } given ? Given.Id("roomId", given) : null;
        var feed = operation.Own(operation.Chat.Feed(roomId, FeedKind.Signals));
        if (roomId is { } room)
            await log.RequireMemberAsync(caller, room, context.CancellationToken);
        return operation.Stream(SignalsAsync(feed, roomId));
    }

    /// <summary>The tail hands signals to members alone, in the order of its log, whose end for the caller is the change that says so.</summary>
    private static async IAsyncEnumerable<Signaled> SignalsAsync(TailFeed feed, Guid? roomId, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        while (true)
        {
            var next = await feed.TakeAsync(cancellationToken);
            if (next.Signal is { } signal)
                yield return new Signaled(next.RoomId, signal);
            else if (next.Change is RoomChange.Left or RoomChange.Deleted && roomId is not null)
                yield break;
        }
    }

    private static async IAsyncEnumerable<DeviceNotice> NoticesAsync(NudgeFeed feed, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var nudge in feed.ReadAsync(cancellationToken))
            yield return new DeviceNotice(nudge.DeviceId, nudge.Available is null ? DeviceNoticeKind.WelcomesWaiting : DeviceNoticeKind.KeyPackagesLow, nudge.Available);
    }
}
