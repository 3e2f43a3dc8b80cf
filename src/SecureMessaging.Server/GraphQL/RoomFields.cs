using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Chat;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.GraphQL;

/// <summary>Rooms, their rosters and their logs.</summary>
internal sealed class RoomFields(RoomStore rooms, RosterStore roster, RoomRequests requests, LogStore log, LogWriter writer, Signals signals) : IRootFields
{
    private const int UsualRooms = 20;
    private const int WriteCost = 50;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        query.Many<RoomType>("rooms", "The rooms that the caller is in.", UsualRooms)
            .ResolveAsync(async context => await rooms.ListAsync(context.Caller(), context.CancellationToken));
        query.Required<RoomType>("room", "One room that the caller is in.")
            .Argument<NonNullGraphType<IdGraphType>>("id", "The room.")
            .ResolveAsync(async context => await rooms.GetAsync(context.Caller(), context.Id("id"), context.CancellationToken));
        AddRooms(mutation);
        AddRoster(mutation);
        AddLog(mutation);
    }

    private void AddRooms(OutputType<object> mutation)
    {
        mutation.Required<RoomType>("createRoom", "Creates a room, or returns the one that an earlier attempt created.").Costs(WriteCost)
            .Argument<NonNullGraphType<CreateRoomInput>>("input", "The room.")
            .ResolveAsync(async context => (await requests.CreateAsync(context.Caller(), context.GetArgument<CreateRoomRequest>("input"), context.CancellationToken)).Room);
        mutation.Required<RoomType>("changeRoomSettings", "For admins of the room.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<RoomSettingsInput>>("settings", "What changes.")
            .ResolveAsync(async context => await requests.ChangeSettingsAsync(
                context.Caller(), context.Id("roomId"), context.GetArgument<ChangeRoomRequest>("settings"), context.CancellationToken));
        mutation.Required<BooleanGraphType>("deleteRoom", "For owners of the room.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .ResolveAsync(async context =>
            {
                await rooms.DeleteAsync(context.Caller(), context.Id("roomId"), context.CancellationToken);
                return true;
            });
    }

    private void AddRoster(OutputType<object> mutation)
    {
        mutation.Required<RoomMemberType>("addMember", "For admins of the room. Adding one who is in already changes nothing.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<StringGraphType>>("username", "Whom to add.")
            .Argument<NonNullGraphType<RoomRoleType>>("role", "With which role.", argument => argument.DefaultValue = RoomRole.Member)
            .ResolveAsync(async context =>
            {
                var request = new AddMemberRequest(context.GetArgument<string>("username"), context.GetArgument<RoomRole>("role"));
                return await requests.AddMemberAsync(context.Caller(), context.Id("roomId"), request, context.CancellationToken);
            });
        mutation.Required<BooleanGraphType>("changeRole", "For owners of the room.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<IdGraphType>>("userId", "The member.")
            .Argument<NonNullGraphType<RoomRoleType>>("role", "The new role.")
            .ResolveAsync(async context =>
            {
                await roster.ChangeRoleAsync(context.Caller(), context.Id("roomId"), context.Id("userId"), context.GetArgument<RoomRole>("role"), context.CancellationToken);
                return true;
            });
        mutation.Required<BooleanGraphType>("removeMember", "Removes a member, for admins of the room, or oneself.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<IdGraphType>>("userId", "The member.")
            .ResolveAsync(async context =>
            {
                await roster.RemoveAsync(context.Caller(), context.Id("roomId"), context.Id("userId"), context.CancellationToken);
                return true;
            });
    }

    private void AddLog(OutputType<object> mutation)
    {
        mutation.Required<SendAckType>("send", "Stores one envelope. Answers once it is durable.").Costs(WriteCost)
            .Argument<NonNullGraphType<SendInput>>("input", "The envelope.")
            .ResolveAsync(async context => await writer.SendAsync(context.Caller(), context.GetArgument<SendRequest>("input")));
        mutation.Required<ListGraphType<NonNullGraphType<SendResultType>>>("sendBatch", "Stores several envelopes in order. Each succeeds or fails alone, but after one that failed and may be repeated every later one of the same room fails so too.")
            .Costs(WriteCost)
            .Argument<NonNullGraphType<ListGraphType<NonNullGraphType<SendInput>>>>("inputs", "The envelopes.")
            .ResolveAsync(async context => await writer.SendBatchAsync(context.Caller(), context.GetArgument<SendRequest[]>("inputs")));
        mutation.Required<SendAckType>("retract", "Takes back an entry that the caller sent. Idempotent.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<LongType>>("seq", "The entry.")
            .ResolveAsync(async context => await log.RetractAsync(context.Caller(), context.Id("roomId"), context.GetArgument<long>("seq"), context.CancellationToken));
        mutation.Required<BooleanGraphType>("markDelivered", "Moves the caller's delivery cursor forward.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<LongType>>("seq", "Everything up to here has reached the caller.")
            .ResolveAsync(async context =>
            {
                await log.MarkDeliveredAsync(context.Caller(), context.Id("roomId"), context.GetArgument<long>("seq"), context.CancellationToken);
                return true;
            });
        mutation.Required<BooleanGraphType>("signal", "Sends opaque bytes to the members who are connected now; stored nowhere.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<Base64Type>>("signal", "The bytes.")
            .ResolveAsync(async context =>
            {
                await signals.SendAsync(context.Caller(), context.Id("roomId"), context.GetArgument<byte[]>("signal"), context.CancellationToken);
                return true;
            });
    }
}
