using Microsoft.AspNetCore.Http.HttpResults;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Rooms;

/// <summary>Rooms and their rosters over REST.</summary>
internal static class RoomEndpoints
{
    public static void Map(IEndpointRouteBuilder app)
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

    [EndpointName("listRooms"), EndpointSummary("The rooms that the caller is a member of.")]
    private static async Task<Ok<List<Room>>> ListAsync(Caller caller, RoomStore rooms, CancellationToken cancellationToken) =>
        TypedResults.Ok(await rooms.ListAsync(caller, cancellationToken));

    [EndpointName("getRoom"), EndpointSummary("One room that the caller is a member of.")]
    private static async Task<Ok<Room>> GetAsync(Caller caller, Guid roomId, RoomStore rooms, CancellationToken cancellationToken) =>
        TypedResults.Ok(await rooms.GetAsync(caller, roomId, cancellationToken));

    [EndpointName("createRoom"), EndpointSummary("Creates a room, or returns the room that an earlier attempt created.")]
    [EndpointDescription("201 for a new room. 200 when a room with this id, or the direct room of these two accounts, exists already.")]
    [Refuses(ErrorCode.NotFound)]
    [ReplyHeader("201", "Location", "The room, relative to the server.", "/v1/rooms/2f9d1c40-6b7e-4a83-8c15-9e0f5d7a3b62")]
    private static async Task<Results<Created<Room>, Ok<Room>>> CreateAsync(
        Caller caller, CreateRoomRequest request, RoomOperations operations, CancellationToken cancellationToken)
    {
        var (room, created) = await operations.CreateAsync(caller, request, cancellationToken);
        return created ? TypedResults.Created($"/v1/rooms/{room.Id}", room) : TypedResults.Ok(room);
    }

    [EndpointName("changeRoomSettings"), EndpointSummary("Changes the settings of a room. Requires the admin role.")]
    [EndpointDescription("A merge patch (RFC 7396): absent members stay unchanged, null clears.")]
    [Refuses(ErrorCode.Forbidden)]
    private static async Task<Ok<Room>> ChangeSettingsAsync(
        Caller caller, Guid roomId, ChangeRoomRequest request, RoomOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.ChangeSettingsAsync(caller, roomId, request, cancellationToken));

    [EndpointName("deleteRoom"), EndpointSummary("Deletes the room with its log, for all members.")]
    [EndpointDescription("Requires the owner role. In a direct room both members are owners.")]
    [Refuses(ErrorCode.Forbidden)]
    private static Task<NoContent> DeleteAsync(Caller caller, Guid roomId, RoomOperations operations, CancellationToken cancellationToken) =>
        operations.DeleteAsync(caller, roomId, cancellationToken).NoContentAsync();

    [EndpointName("listMembers"), EndpointSummary("The members of the room, in the order of joining.")]
    private static async Task<Ok<RoomMember[]>> ListMembersAsync(Caller caller, Guid roomId, RosterStore roster, CancellationToken cancellationToken) =>
        TypedResults.Ok(await roster.ListAsync(caller, roomId, cancellationToken));

    [EndpointName("addMember"), EndpointSummary("Adds a member. Requires the admin role.")]
    [EndpointDescription("Adding a member again changes nothing.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static async Task<Ok<RoomMember>> AddMemberAsync(
        Caller caller, Guid roomId, AddMemberRequest request, RoomOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.AddMemberAsync(caller, roomId, request, cancellationToken));

    [EndpointName("changeRole"), EndpointSummary("Changes the role of a member. Requires the owner role.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static Task<NoContent> ChangeRoleAsync(
        Caller caller, Guid roomId, Guid userId, ChangeRoleRequest request, RoomOperations operations, CancellationToken cancellationToken) =>
        operations.ChangeRoleAsync(caller, roomId, userId, request, cancellationToken).NoContentAsync();

    [EndpointName("removeMember"), EndpointSummary("Removes another member, which requires the admin role, or the caller.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static Task<NoContent> RemoveMemberAsync(Caller caller, Guid roomId, Guid userId, RoomOperations operations, CancellationToken cancellationToken) =>
        operations.RemoveMemberAsync(caller, roomId, userId, cancellationToken).NoContentAsync();
}
