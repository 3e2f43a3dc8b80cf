using Microsoft.AspNetCore.Http.HttpResults;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;

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
        rooms.MapPatch("{roomId:guid}", ChangeSettingsAsync);
        rooms.MapDelete("{roomId:guid}", DeleteAsync);
        rooms.MapGet("{roomId:guid}/members", ListMembersAsync);
        rooms.MapPost("{roomId:guid}/members", AddMemberAsync);
        rooms.MapPatch("{roomId:guid}/members/{userId:guid}", ChangeRoleAsync);
        rooms.MapDelete("{roomId:guid}/members/{userId:guid}", RemoveMemberAsync);
    }

    private static async Task<Ok<List<Room>>> ListAsync(Caller caller, RoomStore rooms, CancellationToken cancellationToken) =>
        TypedResults.Ok(await rooms.ListAsync(caller, cancellationToken));

    private static async Task<Ok<Room>> GetAsync(Caller caller, Guid roomId, RoomStore rooms, CancellationToken cancellationToken) =>
        TypedResults.Ok(await rooms.GetAsync(caller, roomId, cancellationToken));

    private static async Task<Results<Created<Room>, Ok<Room>>> CreateAsync(
        Caller caller, CreateRoomRequest request, RoomRequests requests, CancellationToken cancellationToken)
    {
        var (room, created) = await requests.CreateAsync(caller, request, cancellationToken);
        return created ? TypedResults.Created($"/v1/rooms/{room.Id}", room) : TypedResults.Ok(room);
    }

    private static async Task<Ok<Room>> ChangeSettingsAsync(
        Caller caller, Guid roomId, RoomSettings settings, RoomRequests requests, CancellationToken cancellationToken) =>
        TypedResults.Ok(await requests.ChangeSettingsAsync(caller, roomId, settings, cancellationToken));

    private static async Task<NoContent> DeleteAsync(Caller caller, Guid roomId, RoomStore rooms, CancellationToken cancellationToken)
    {
        await rooms.DeleteAsync(caller, roomId, cancellationToken);
        return TypedResults.NoContent();
    }

    private static async Task<Ok<RoomMember[]>> ListMembersAsync(Caller caller, Guid roomId, RosterStore roster, CancellationToken cancellationToken) =>
        TypedResults.Ok(await roster.ListAsync(caller, roomId, cancellationToken));

    private static async Task<Ok<RoomMember>> AddMemberAsync(
        Caller caller, Guid roomId, AddMemberRequest request, RoomRequests requests, CancellationToken cancellationToken) =>
        TypedResults.Ok(await requests.AddMemberAsync(caller, roomId, request, cancellationToken));

    private static async Task<NoContent> ChangeRoleAsync(
        Caller caller, Guid roomId, Guid userId, ChangeRoleRequest request, RosterStore roster, CancellationToken cancellationToken)
    {
        await roster.ChangeRoleAsync(caller, roomId, userId, request.Role, cancellationToken);
        return TypedResults.NoContent();
    }

    private static async Task<NoContent> RemoveMemberAsync(Caller caller, Guid roomId, Guid userId, RosterStore roster, CancellationToken cancellationToken)
    {
        await roster.RemoveAsync(caller, roomId, userId, cancellationToken);
        return TypedResults.NoContent();
    }
}
