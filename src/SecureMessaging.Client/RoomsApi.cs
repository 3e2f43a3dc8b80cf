using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>Rooms and their members, over REST. Every method throws <see cref="SecureMessagingException"/>; one whose reply was lost may be repeated.</summary>
public sealed class RoomsApi
{
    private readonly Rest _rest;

    internal RoomsApi(Rest rest) => _rest = rest;

    /// <summary>Creates a room with the caller as owner. Give the request an id to make it repeatable, and to seal the name before the room exists.</summary>
    public Task<Room> CreateAsync(CreateRoomRequest request, CancellationToken cancellationToken = default) =>
        _rest.SendAsync<Room>(HttpMethod.Post, "v1/rooms", request, cancellationToken);

    /// <summary>The caller's rooms.</summary>
    public Task<Room[]> ListAsync(CancellationToken cancellationToken = default) =>
        _rest.SendAsync<Room[]>(HttpMethod.Get, "v1/rooms", null, cancellationToken);

    /// <summary>One room.</summary>
    public Task<Room> GetAsync(Guid roomId, CancellationToken cancellationToken = default) =>
        _rest.SendAsync<Room>(HttpMethod.Get, $"v1/rooms/{roomId}", null, cancellationToken);

    /// <summary>Sets a room's name and default time to live, as they shall be. Takes an admin.</summary>
    public Task UpdateAsync(Guid roomId, RoomSettings settings, CancellationToken cancellationToken = default) =>
        ChangeAsync(roomId, new ChangeRoomRequest { Name = settings.Name, TimeToLiveSeconds = settings.TimeToLiveSeconds }, cancellationToken);

    /// <summary>Renames a room and keeps its time to live. Takes an admin.</summary>
    /// <param name="roomId">The room.</param>
    /// <param name="name">Opaque to the server: seal it, for instance by <see cref="SharedKeyCipher.SealName"/>.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public Task RenameAsync(Guid roomId, byte[]? name, CancellationToken cancellationToken = default) =>
        ChangeAsync(roomId, new ChangeRoomRequest { Name = name }, cancellationToken);

    /// <summary>Changes what the request sets and leaves everything else as it is. Takes an admin.</summary>
    public Task ChangeAsync(Guid roomId, ChangeRoomRequest request, CancellationToken cancellationToken = default) =>
        _rest.SendAsync(HttpMethod.Patch, $"v1/rooms/{roomId}", request, cancellationToken);

    /// <summary>Deletes a room for everyone. Takes an owner.</summary>
    public Task DeleteAsync(Guid roomId, CancellationToken cancellationToken = default) =>
        _rest.SendAsync(HttpMethod.Delete, $"v1/rooms/{roomId}", null, cancellationToken);

    /// <summary>Who is in a room.</summary>
    public Task<RoomMember[]> MembersAsync(Guid roomId, CancellationToken cancellationToken = default) =>
        _rest.SendAsync<RoomMember[]>(HttpMethod.Get, $"v1/rooms/{roomId}/members", null, cancellationToken);

    /// <summary>Adds someone by username. Takes an admin.</summary>
    public Task AddMemberAsync(Guid roomId, string username, RoomRole role = RoomRole.Member, CancellationToken cancellationToken = default) =>
        _rest.SendAsync(HttpMethod.Post, $"v1/rooms/{roomId}/members", new AddMemberRequest(username, role), cancellationToken);

    /// <summary>Removes someone. Takes an admin.</summary>
    public Task RemoveMemberAsync(Guid roomId, Guid userId, CancellationToken cancellationToken = default) =>
        _rest.SendAsync(HttpMethod.Delete, $"v1/rooms/{roomId}/members/{userId}", null, cancellationToken);

    /// <summary>Gives someone another role. Takes an owner.</summary>
    public Task ChangeRoleAsync(Guid roomId, Guid userId, RoomRole role, CancellationToken cancellationToken = default) =>
        _rest.SendAsync(HttpMethod.Patch, $"v1/rooms/{roomId}/members/{userId}", new ChangeRoleRequest(role), cancellationToken);

    /// <summary>Leaves a room.</summary>
    public Task LeaveAsync(Guid roomId, CancellationToken cancellationToken = default) =>
        RemoveMemberAsync(roomId, _rest.UserId, cancellationToken);
}
