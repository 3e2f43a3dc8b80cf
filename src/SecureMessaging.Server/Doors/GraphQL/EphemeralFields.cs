using System.Runtime.CompilerServices;
using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed record Signaled(Guid RoomId, byte[] Signal);

internal enum DeviceNoticeKind
{
    KeyPackagesLow,
    WelcomesWaiting,
}

internal sealed record DeviceNotice(Guid DeviceId, DeviceNoticeKind Kind, int? Available);

internal sealed class DeviceNoticeKindType : EnumerationGraphType<DeviceNoticeKind>
{
    public DeviceNoticeKindType() =>
        Description = "KEY_PACKAGES_LOW: few or none are left, or the last-resort one was used. Upload more. "
            + "WELCOMES_WAITING: Welcomes wait for the device. Fetch them.";
}

internal sealed class SignaledType : OutputType<Signaled>
{
    public SignaledType(RoomStore rooms)
        : base("Signaled", "An ephemeral signal from a member of a room. It is not stored.")
    {
        Value<IdGraphType>("roomId", signaled => signaled.RoomId, "The room.");
        Value<Base64Type>("signal", signaled => signaled.Signal, "The bytes.");
        this.AddRoom(rooms, signaled => signaled.RoomId);
    }
}

internal sealed class DeviceNoticeType : OutputType<DeviceNotice>
{
    public DeviceNoticeType()
        : base("DeviceNotice", "A hint for one of the caller's devices.")
    {
        Value<IdGraphType>("deviceId", notice => notice.DeviceId, "The device.");
        Value<DeviceNoticeKindType>("kind", notice => notice.Kind, "What it should do.");
        Nullable<IntGraphType>("available", notice => notice.Available, "With KEY_PACKAGES_LOW: the number that is left.");
    }
}

/// <summary>Signals and device hints, on WebSockets: at most once, without replay. A slow reader misses some.</summary>
internal sealed class EphemeralFields(LogStore log) : IRootFields
{
    private const int Cost = 100;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        subscription.Required<SignaledType>("signals", "Signals from members, at most once. With roomId, completes when the caller is no longer a member.")
            .Costs(Cost)
            .Argument<IdGraphType>("roomId", "The room. Null: all rooms of the caller, including rooms that it joins later.")
            .ResolveStreamAsync(async context => await FollowSignalsAsync(context, context.Operation(), context.Caller()));
        subscription.Required<DeviceNoticeType>("deviceNotices", "Hints for the caller's devices, at most once. A device must also check when it connects.")
            .Costs(Cost)
            .ResolveStream(context =>
            {
                context.Caller();
                var operation = context.Operation();
                return operation.Stream(NoticesAsync(operation.Own(operation.Subscriber.Hints())));
            });
    }

    private async Task<IObservable<object>> FollowSignalsAsync(IResolveFieldContext context, SocketOperation operation, Caller caller)
    {
        Guid? roomId = context.GetArgument<object?>("roomId") is { } given ? Given.Id("roomId", given) : null;
        var feed = operation.Own(operation.Subscriber.Feed(roomId, FeedKind.Signals));
        if (roomId is { } room)
            await log.RequireMemberAsync(caller, room, context.CancellationToken);
        return operation.Stream(SignalsAsync(feed, roomId));
    }

    /// <summary>Room delivery sends signals only to members. For the caller they end with the change that removes it.</summary>
    private static async IAsyncEnumerable<Signaled> SignalsAsync(
        DeliveryFeed feed, Guid? roomId, [EnumeratorCancellation] CancellationToken cancellationToken = default)
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

    private static async IAsyncEnumerable<DeviceNotice> NoticesAsync(HintFeed feed, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var hint in feed.ReadAsync(cancellationToken))
            yield return new DeviceNotice(
                hint.DeviceId, hint.Available is null ? DeviceNoticeKind.WelcomesWaiting : DeviceNoticeKind.KeyPackagesLow, hint.Available);
    }
}
