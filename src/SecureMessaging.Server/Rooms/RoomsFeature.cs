using System.Buffers;
using Microsoft.AspNetCore.Http.HttpResults;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.OpenApi;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Rooms;

/// <summary>Rooms and their rosters over REST.</summary>
internal static class RoomsFeature
{
    private const int SchemeCharacters = 32;

    private static readonly SearchValues<char> SchemeCharacterSet = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789.-");

    public static void AddRooms(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<RoomEvents>();
        builder.Services.AddSingleton<RoomStore>();
        builder.Services.AddSingleton<RosterStore>();
        builder.Services.AddSingleton<MemberErasure>();
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

    [EndpointName("listRooms"), EndpointSummary("The rooms that the caller is in.")]
    private static async Task<Ok<List<Room>>> ListAsync(Caller caller, RoomStore rooms, CancellationToken cancellationToken) =>
        TypedResults.Ok(await rooms.ListAsync(caller, cancellationToken));

    [EndpointName("getRoom"), EndpointSummary("One room that the caller is in.")]
    private static async Task<Ok<Room>> GetAsync(Caller caller, Guid roomId, RoomStore rooms, CancellationToken cancellationToken) =>
        TypedResults.Ok(await rooms.GetAsync(caller, roomId, cancellationToken));

    [EndpointName("createRoom"), EndpointSummary("Creates a room, or returns the one that an earlier attempt created.")]
    [EndpointDescription("201 when it is new; 200 when there is a room of this id, or the direct room of these two, already.")]
    [Refuses(ErrorCode.NotFound, ErrorCode.Conflict)]
    [ReplyHeader("201", "Location", "The room, relative to the server.", "/v1/rooms/2f9d1c40-6b7e-4a83-8c15-9e0f5d7a3b62")]
    internal static async Task<Results<Created<Room>, Ok<Room>>> CreateAsync(
        Caller caller, CreateRoomRequest request, RoomStore rooms, UserStore users, Limits limits, CancellationToken cancellationToken)
    {
        RequireSettings(new RoomSettings(request.Name, request.TimeToLiveSeconds), limits);
        if (request.Id == Guid.Empty)
            throw ApiException.Invalid("id must be a random UUID.");
        if (request.Scheme.Length is 0 or > SchemeCharacters || request.Scheme.AsSpan().ContainsAnyExcept(SchemeCharacterSet))
            throw ApiException.Invalid($"A scheme has 1 to {SchemeCharacters} of a-z 0-9 . -");
        if (request.Members.Length >= limits.RoomMembers)
            throw new ApiException(ErrorCode.TooLarge, $"A room has {limits.RoomMembers} members at most.");
        var others = await FindAsync(users, request.Members, cancellationToken);
        others.Remove(caller.UserId);
        if (request.Kind == RoomKind.Direct && others.Count != 1)
            throw ApiException.Invalid("A direct room has exactly one other member.");
        var (room, created) = await rooms.CreateAsync(caller, request, [.. others], cancellationToken);
        return created ? TypedResults.Created($"/v1/rooms/{room.Id}", room) : TypedResults.Ok(room);
    }

    [EndpointName("changeRoomSettings"), EndpointSummary("Changes what admins of the room may change.")]
    [EndpointDescription("What is left out is cleared.")]
    [Refuses(ErrorCode.Forbidden)]
    internal static async Task<Ok<Room>> ChangeSettingsAsync(
        Caller caller, Guid roomId, RoomSettings settings, RoomStore rooms, Limits limits, CancellationToken cancellationToken)
    {
        RequireSettings(settings, limits);
        await rooms.ChangeSettingsAsync(caller, roomId, settings, cancellationToken);
        return TypedResults.Ok(await rooms.GetAsync(caller, roomId, cancellationToken));
    }

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
    internal static async Task<Ok<RoomMember>> AddMemberAsync(
        Caller caller, Guid roomId, AddMemberRequest request, RoomStore rooms, RosterStore roster, UserStore users, CancellationToken cancellationToken)
    {
        // Asked first, so that a stranger to the room does not learn from it who has an account.
        await rooms.GetAsync(caller, roomId, cancellationToken);
        var userId = (await FindAsync(users, [request.Username], cancellationToken)).Single();
        await roster.AddAsync(caller, roomId, userId, request.Role, cancellationToken);
        return TypedResults.Ok((await roster.ListAsync(caller, roomId, cancellationToken)).FirstOrDefault(member => member.UserId == userId)
            ?? throw ApiException.NotFound());
    }

    [EndpointName("changeRole"), EndpointSummary("Gives a member another role, for owners of the room.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static async Task<NoContent> ChangeRoleAsync(
        Caller caller, Guid roomId, Guid userId, ChangeRoleRequest request, RosterStore roster, CancellationToken cancellationToken)
    {
        await roster.ChangeRoleAsync(caller, roomId, userId, request.Role, cancellationToken);
        return TypedResults.NoContent();
    }

    [EndpointName("removeMember"), EndpointSummary("Removes a member, for admins of the room, or oneself.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static async Task<NoContent> RemoveMemberAsync(Caller caller, Guid roomId, Guid userId, RosterStore roster, CancellationToken cancellationToken)
    {
        await roster.RemoveAsync(caller, roomId, userId, cancellationToken);
        return TypedResults.NoContent();
    }

    /// <summary>The accounts of these usernames, each once, in the order given.</summary>
    private static async Task<List<Guid>> FindAsync(UserStore users, string[] usernames, CancellationToken cancellationToken)
    {
        if (Array.Exists(usernames, name => name is null))
            throw ApiException.Invalid("A username must not be null.");
        string[] distinct = [.. usernames.Select(name => name.ToLowerInvariant()).Distinct(StringComparer.Ordinal)];
        var found = (await users.FindByUsernamesAsync(distinct, cancellationToken)).ToDictionary(user => user.Username, user => user.Id, StringComparer.Ordinal);
        return Array.TrueForAll(distinct, found.ContainsKey)
            ? [.. distinct.Select(name => found[name])]
            : throw new ApiException(ErrorCode.NotFound, "There is no account of that name.");
    }

    private static void RequireSettings(RoomSettings settings, Limits limits)
    {
        if (settings.Name?.Length > limits.NameBytes)
            throw ApiException.TooLarge("name", limits.NameBytes);
        if (settings.TimeToLiveSeconds is { } ttl && (ttl < limits.TimeToLiveMinSeconds || ttl > limits.TimeToLiveMaxSeconds))
            throw ApiException.Invalid($"timeToLiveSeconds must be {limits.TimeToLiveMinSeconds} to {limits.TimeToLiveMaxSeconds}.");
    }
}
