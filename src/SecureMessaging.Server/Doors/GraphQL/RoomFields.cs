using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Cluster;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed class RoomFields(
    RoomStore rooms, RoomOperations operations, LogStore log, MessageOperations messages, SendQueue sends, Signals signals) : IRootFields
{
    private const int UsualRooms = 20;
    private const int WriteCost = 50;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        query.Many<RoomType>("rooms", "The rooms that the caller is a member of.", UsualRooms)
            .ResolveAsync(async context => await rooms.ListAsync(context.Caller(), context.CancellationToken));
        query.Required<RoomType>("room", "One room that the caller is a member of.")
            .Argument<NonNullGraphType<IdGraphType>>("id", "The room.")
            .ResolveAsync(async context => await rooms.GetAsync(context.Caller(), context.Id("id"), context.CancellationToken));
        AddRooms(mutation);
        AddRoster(mutation);
        AddLog(mutation);
    }

    private void AddRooms(OutputType<object> mutation)
    {
        mutation.Required<RoomType>("createRoom", "Creates a room, or returns the room that an earlier attempt created.").Costs(WriteCost)
            .Argument<NonNullGraphType<CreateRoomInput>>("input", "The room.")
            .ResolveAsync(async context =>
                (await operations.CreateAsync(context.Caller(), context.GetArgument<CreateRoomRequest>("input"), context.CancellationToken)).Room);
        mutation.Required<RoomType>("changeRoomSettings", "Changes the settings of a room. Requires the admin role.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<RoomSettingsInput>>("settings", "The changes.")
            .ResolveAsync(async context => await operations.ChangeSettingsAsync(
                context.Caller(), context.Id("roomId"), context.GetArgument<ChangeRoomRequest>("settings"), context.CancellationToken));
        mutation.Required<BooleanGraphType>("deleteRoom", "Deletes the room with its log, for all members. Requires the owner role.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .ResolveDoneAsync(context => operations.DeleteAsync(context.Caller(), context.Id("roomId"), context.CancellationToken));
    }

    private void AddRoster(OutputType<object> mutation)
    {
        mutation.Required<RoomMemberType>("addMember", "Adds a member. Requires the admin role. Adding a member again changes nothing.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<StringGraphType>("username", "The account's username. Either it or userId is given.")
            .Argument<NonNullGraphType<RoomRoleType>>("role", "The member's role.", argument => argument.DefaultValue = RoomRole.Member)
            .Argument<IdGraphType>("userId", "The account's id.")
            .ResolveAsync(async context =>
            {
                var request = new AddMemberRequest(
                    context.GetArgument<string?>("username"), context.GetArgument<RoomRole>("role"),
                    context.GetArgument<string?>("userId") is { } userId ? Given.Id("userId", userId) : null);
                return await operations.AddMemberAsync(context.Caller(), context.Id("roomId"), request, context.CancellationToken);
            });
        mutation.Required<BooleanGraphType>("changeRole", "Changes the role of a member. Requires the owner role.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<IdGraphType>>("userId", "The member.")
            .Argument<NonNullGraphType<RoomRoleType>>("role", "The new role.")
            .ResolveDoneAsync(context => operations.ChangeRoleAsync(
                context.Caller(), context.Id("roomId"), context.Id("userId"), new ChangeRoleRequest(context.GetArgument<RoomRole>("role")),
                context.CancellationToken));
        mutation.Required<BooleanGraphType>("removeMember", "Removes another member, which requires the admin role, or the caller.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<IdGraphType>>("userId", "The member.")
            .ResolveDoneAsync(context => operations.RemoveMemberAsync(context.Caller(), context.Id("roomId"), context.Id("userId"), context.CancellationToken));
    }

    private void AddLog(OutputType<object> mutation)
    {
        mutation.Required<SendAckType>("send", "Stores one envelope. Replies once it is durable.").Costs(WriteCost)
            .Argument<NonNullGraphType<SendInput>>("input", "The envelope.")
            .ResolveAsync(async context => await sends.SendAsync(context.Caller(), context.GetArgument<SendRequest>("input")));
        mutation.Required<ListGraphType<NonNullGraphType<SendResultType>>>(
                "sendBatch",
                "Stores several envelopes in order. Each succeeds or fails alone. After a retryable failure all later ones of the same room fail too, "
                + "so that a retry keeps the order.")
            .Costs(WriteCost)
            .Argument<NonNullGraphType<ListGraphType<NonNullGraphType<SendInput>>>>("inputs", "The envelopes.")
            .ResolveAsync(async context => await sends.SendBatchAsync(context.Caller(), context.GetArgument<SendRequest[]>("inputs")));
        mutation.Required<SendAckType>("retract", "Redacts an entry that the caller sent. Idempotent.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<LongType>>("seq", "The entry's seq.")
            .ResolveAsync(async context => await messages.RetractAsync(
                context.Caller(), context.Id("roomId"), context.GetArgument<long>("seq"), context.CancellationToken));
        mutation.Required<BooleanGraphType>("markDelivered", "Moves the caller's delivery cursor forward.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<LongType>>("seq", "The caller has received all entries up to this seq.")
            .ResolveDoneAsync(
                context => log.MarkDeliveredAsync(context.Caller(), context.Id("roomId"), context.GetArgument<long>("seq"), context.CancellationToken));
        mutation.Required<BooleanGraphType>("signal", "Sends opaque bytes to the members who are connected now. Nothing is stored.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<Base64Type>>("signal", "The bytes.")
            .ResolveDoneAsync(
                context => signals.SendAsync(context.Caller(), context.Id("roomId"), context.GetArgument<byte[]>("signal"), context.CancellationToken));
    }
}
