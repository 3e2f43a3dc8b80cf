using Microsoft.AspNetCore.Http.HttpResults;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.OpenApi;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Rooms;

/// <summary>Rooms and their rosters over REST.</summary>
internal static class RoomsFeature
{
    public static void AddRooms(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<RoomEvents>();
        builder.Services.AddSingleton<RoomStore>();
        builder.Services.AddSingleton<RosterStore>();
        builder.Services.AddSingleton<MemberErasure>();
        builder.Services.AddSingleton<RoomRequests>();
    }

    public static void MapRooms(this IEndpointRouteBuilder app)
    {
        var rooms = app.MapGroup("/v1/rooms").RequireAuthorization().WithTags("Rooms");
        rooms.MapGet("", ListAsync);
        rooms.MapPost("", CreateAsync);
        rooms.MapGet("{roomId:guid}", GetAsync);
        rooms.MapPatch("{roomId:guid}", ChangeSettingsAsync).TakesMergePatch<ChangeRoomRequest>();
        rooms.MapDelete("{roomId:guid}", DeleteAsync);
        rooms.MapGet("{roomId:guid}/members", ListMembersAsync);
        rooms.MapPost("{roomId:guid}/members", AddMemberAsync);
        rooms.MapPatch("{roomId:guid}/members/{userId:guid}", ChangeRoleAsync).TakesMergePatch<ChangeRoleRequest>();
        rooms.MapDelete("{roomId:guid}/members/{userId:guid}", RemoveMemberAsync);
    }

    [EndpointName("listRooms"), EndpointSummary("The rooms that the caller is in.")]
    private static async Task<Ok<List<Room>>> ListAsync(Caller caller, RoomStore rooms, CancellationToken cancellationToken) =>
        TypedResults.Ok(await rooms.ListAsync(caller, cancellationToken));

    [EndpointName("getRoom"), EndpointSummary("One room that the caller is in.")]
    private static async Task<Ok<Room>> GetAsync(Caller caller, Guid roomId, RoomStore rooms, CancellationToken cancellationToken) =>
        TypedResults.Ok(await rooms.GetAsync(caller, roomId, cancellationToken));

    [EndpointName("createRoom"), EndpointSummary("Creates a room, or returns the one that an earlier attempt created.")]
    [EndpointDescription("201 when it is new; 200 when there is a room of this id, or the direct room of these two, already.")]
    [Refuses(ErrorCode.NotFound)]
    [ReplyHeader("201", "Location", "The room, relative to the server.", "/v1/rooms/2f9d1c40-6b7e-4a83-8c15-9e0f5d7a3b62")]
    private static async Task<Results<Created<Room>, Ok<Room>>> CreateAsync(
        Caller caller, CreateRoomRequest request, RoomRequests requests, CancellationToken cancellationToken)
    {
        var (room, created) = await requests.CreateAsync(caller, request, cancellationToken);
        return created ? TypedResults.Created($"/v1/rooms/{room.Id}", room) : TypedResults.Ok(room);
    }

    [EndpointName("changeRoomSettings"), EndpointSummary("Changes what admins of the room may change.")]
    [EndpointDescription("A merge patch (RFC 7396): what is left out stays as it is, what is null is cleared.")]
    [Refuses(ErrorCode.Forbidden)]
    private static async Task<Ok<Room>> ChangeSettingsAsync(
        Caller caller, Guid roomId, ChangeRoomRequest request, RoomRequests requests, CancellationToken cancellationToken) =>
        TypedResults.Ok(await requests.ChangeSettingsAsync(caller, roomId, request, cancellationToken));

    [EndpointName("deleteRoom"), EndpointSummary("Deletes the room with its log, for everybody.")]
    [EndpointDescription("For owners of the room; a direct room may be deleted by either.")]
    [Refuses(ErrorCode.Forbidden)]
    private static async Task<NoContent> DeleteAsync(Caller caller, Guid roomId, RoomStore rooms, CancellationToken cancellationToken)
    {
        await rooms.DeleteAsync(caller, roomId, cancellationToken);
        return TypedResults.NoContent();
    }

    [EndpointName("listMembers"), EndpointSummary("Who is in the room, in the order of joining.")]
    private static async Task<Ok<RoomMember[]>> ListMembersAsync(Caller caller, Guid roomId, RosterStore roster, CancellationToken cancellationToken) =>
        TypedResults.Ok(await roster.ListAsync(caller, roomId, cancellationToken));

    [EndpointName("addMember"), EndpointSummary("Adds a member, for admins of the room.")]
    [EndpointDescription("Adding one who is in already changes nothing.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static async Task<Ok<RoomMember>> AddMemberAsync(
        Caller caller, Guid roomId, AddMemberRequest request, RoomRequests requests, CancellationToken cancellationToken) =>
        TypedResults.Ok(await requests.AddMemberAsync(caller, roomId, request, cancellationToken));

    [EndpointName("changeRole"), EndpointSummary("Gives a member another role, for owners of the room.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static async Task<NoContent> ChangeRoleAsync(
        Caller caller, Guid roomId, Guid userId, ChangeRoleRequest request, RosterStore roster, CancellationToken cancellationToken)
    {
        if (request.HasRole)
            await roster.ChangeRoleAsync(caller, roomId, userId, request.Role, cancellationToken);
        else if (!Array.Exists(await roster.ListAsync(caller, roomId, cancellationToken), member => member.UserId == userId))
            throw ApiException.NotFound();
        return TypedResults.NoContent();
    }

    [EndpointName("removeMember"), EndpointSummary("Removes a member, for admins of the room, or oneself.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static async Task<NoContent> RemoveMemberAsync(Caller caller, Guid roomId, Guid userId, RosterStore roster, CancellationToken cancellationToken)
    {
        await roster.RemoveAsync(caller, roomId, userId, cancellationToken);
        return TypedResults.NoContent();
    }
}
