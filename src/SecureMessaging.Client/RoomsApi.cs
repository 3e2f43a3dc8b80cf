using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// Rooms and their members, over REST. Every method throws <see cref="SecureMessagingException"/>, and can be repeated when its reply was lost.
/// </summary>
public sealed class RoomsApi
{
    private readonly Rest rest;

    internal RoomsApi(Rest rest) => this.rest = rest;

    /// <summary>
    /// Creates a room with the caller as owner. An id in the request makes the call idempotent, and allows to encrypt the name before the room
    /// exists.
    /// </summary>
    public Task<Room> CreateAsync(CreateRoomRequest request, CancellationToken cancellationToken = default) =>
        rest.SendAsync<Room>(HttpMethod.Post, "v1/rooms", request, cancellationToken);

    /// <summary>The caller's rooms.</summary>
    public Task<Room[]> ListAsync(CancellationToken cancellationToken = default) =>
        rest.SendAsync<Room[]>(HttpMethod.Get, "v1/rooms", null, cancellationToken);

    /// <summary>One room.</summary>
    public Task<Room> GetAsync(Guid roomId, CancellationToken cancellationToken = default) =>
        rest.SendAsync<Room>(HttpMethod.Get, $"v1/rooms/{roomId}", null, cancellationToken);

    /// <summary>Renames a room and keeps its time to live. For admins of the room.</summary>
    /// <param name="roomId">The room.</param>
    /// <param name="name">Opaque to the server: encrypt it, for example by <see cref="SharedKeyCipher.SealName"/>.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public Task RenameAsync(Guid roomId, byte[]? name, CancellationToken cancellationToken = default) =>
        ChangeAsync(roomId, new ChangeRoomRequest { Name = name }, cancellationToken);

    /// <summary>Changes the members that are set in the request. For admins of the room.</summary>
    public Task ChangeAsync(Guid roomId, ChangeRoomRequest request, CancellationToken cancellationToken = default) =>
        rest.SendAsync(HttpMethod.Patch, $"v1/rooms/{roomId}", request, cancellationToken);

    /// <summary>Deletes a room for all members. For owners of the room.</summary>
    public Task DeleteAsync(Guid roomId, CancellationToken cancellationToken = default) =>
        rest.SendAsync(HttpMethod.Delete, $"v1/rooms/{roomId}", null, cancellationToken);

    /// <summary>The members of a room.</summary>
    public Task<RoomMember[]> MembersAsync(Guid roomId, CancellationToken cancellationToken = default) =>
        rest.SendAsync<RoomMember[]>(HttpMethod.Get, $"v1/rooms/{roomId}/members", null, cancellationToken);

    /// <summary>Adds a member by username. For admins of the room.</summary>
    public Task AddMemberAsync(Guid roomId, string username, RoomRole role = RoomRole.Member, CancellationToken cancellationToken = default) =>
        rest.SendAsync(HttpMethod.Post, $"v1/rooms/{roomId}/members", new AddMemberRequest(username, role), cancellationToken);

    /// <summary>Removes a member. For admins of the room.</summary>
    public Task RemoveMemberAsync(Guid roomId, Guid userId, CancellationToken cancellationToken = default) =>
        rest.SendAsync(HttpMethod.Delete, $"v1/rooms/{roomId}/members/{userId}", null, cancellationToken);

    /// <summary>Changes the role of a member. For owners of the room.</summary>
    public Task ChangeRoleAsync(Guid roomId, Guid userId, RoomRole role, CancellationToken cancellationToken = default) =>
        rest.SendAsync(HttpMethod.Patch, $"v1/rooms/{roomId}/members/{userId}", new ChangeRoleRequest(role), cancellationToken);

    /// <summary>Leaves a room.</summary>
    public Task LeaveAsync(Guid roomId, CancellationToken cancellationToken = default) =>
        RemoveMemberAsync(roomId, rest.UserId, cancellationToken);
}
