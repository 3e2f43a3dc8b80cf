using System.Runtime.Serialization;
using System.Text.Json.Serialization;

namespace SecureMessaging.Protocol;

/// <summary>Whether a room is for two people or for a group.</summary>
public enum RoomKind
{
    /// <summary>A kind of a later version. Readers only: the server rejects requests that contain it.</summary>
    [EnumMember(Value = "unknown")] Unknown = -1,

    /// <summary>A room of any number of people with roles.</summary>
    [EnumMember(Value = "group")] Group = 0,

    /// <summary>The one room of exactly two people; its roster never changes.</summary>
    [EnumMember(Value = "direct")] Direct = 1,
}

/// <summary>What a member may do in a room.</summary>
public enum RoomRole
{
    /// <summary>A role of a later version. Treat it as the lowest role. Readers only: the server rejects requests that contain it.</summary>
    [EnumMember(Value = "unknown")] Unknown = -1,

    /// <summary>Reads, writes, redacts own entries, leaves.</summary>
    [EnumMember(Value = "member")] Member = 0,

    /// <summary>Also adds and removes members and changes settings.</summary>
    [EnumMember(Value = "admin")] Admin = 1,

    /// <summary>Also changes roles and deletes the room. A room always has an owner.</summary>
    [EnumMember(Value = "owner")] Owner = 2,
}

/// <summary><c>POST /v1/rooms</c>. The caller becomes owner; in a direct room both people are.</summary>
/// <param name="Kind">Group or direct. An existing direct room of these two in this scheme is returned.</param>
/// <param name="Members">Usernames of the other members.</param>
/// <param name="Name">Opaque to the server; encrypt it.</param>
/// <param name="Visible">Whether the server stores and returns the sender of each entry. Default: sealed.</param>
/// <param name="TimeToLiveSeconds">Default time to live of entries in seconds; null: they do not expire.</param>
/// <param name="Id">Chosen by the client (random, version 4), which makes the call idempotent. Null: the server chooses.</param>
/// <param name="Scheme">How its members encrypt: one of <see cref="Schemes"/> or 1 to 32 of <c>a-z 0-9 . -</c>; never changes.</param>
/// <param name="Founding">
/// The signed object <c>Founding</c> (section 2 of the formats in <c>Trust/README.md</c>), which <see cref="Schemes.Mls10"/> needs and no other scheme has:
/// with the request's kind, the caller as founder, and in a direct room the other member. The room's id is computed from it: <paramref name="Id"/> is then
/// null or equal. The server stores and returns the bytes.
/// </param>
/// <param name="UserIds">Ids of further other members, beside <paramref name="Members"/>. A directory cannot map an id to another account.</param>
public sealed record CreateRoomRequest(
    RoomKind Kind, string[] Members, byte[]? Name = null, bool Visible = false, int? TimeToLiveSeconds = null, Guid? Id = null, string Scheme = Schemes.Opaque,
    byte[]? Founding = null, Guid[]? UserIds = null);

/// <summary>A room as one of its members sees it.</summary>
/// <param name="Id">The room's id.</param>
/// <param name="Kind">Group or direct.</param>
/// <param name="Name">Opaque.</param>
/// <param name="Visible">Whether entries carry their sender.</param>
/// <param name="TimeToLiveSeconds">Default time to live of entries in seconds.</param>
/// <param name="CreatedAt">The day of creation (UTC).</param>
/// <param name="Epoch">The MLS epoch (RFC 9420 section 8), 0 in rooms of other schemes.</param>
/// <param name="Role">The caller's role.</param>
/// <param name="HeadSeq">Seq of the newest entry.</param>
/// <param name="FirstSeq">Seq of the oldest entry that the caller can still read; <c>HeadSeq + 1</c> when none is left.</param>
/// <param name="DeliveredSeq">The caller's delivery cursor.</param>
/// <param name="Unread">Entries after the delivery cursor.</param>
/// <param name="Scheme">How its members encrypt: one of <see cref="Schemes"/>.</param>
/// <param name="Generation">How often its MLS group was reset.</param>
/// <param name="Founding">
/// As in <see cref="CreateRoomRequest"/>; null in another scheme, and after an account that it names was erased. Compute the id from it, do not trust the
/// server.
/// </param>
public sealed record Room(
    Guid Id, RoomKind Kind, byte[]? Name, bool Visible, int? TimeToLiveSeconds, DateTime CreatedAt, long Epoch,
    RoomRole Role, long HeadSeq, long FirstSeq, long DeliveredSeq, long Unread, string Scheme = Schemes.Opaque, int Generation = 0, byte[]? Founding = null);

/// <summary>The settings that admins of a room can change, as in its log.</summary>
/// <param name="Name">Opaque.</param>
/// <param name="TimeToLiveSeconds">Time to live of new entries in seconds; null: they do not expire.</param>
public sealed record RoomSettings(byte[]? Name, int? TimeToLiveSeconds);

/// <summary><c>PATCH /v1/rooms/{id}</c> (RFC 7396): missing members stay as they are, null clears.</summary>
public sealed record ChangeRoomRequest : IPatch
{
    /// <summary>Opaque to the server; encrypt it.</summary>
    public byte[]? Name
    {
        get;
        init => (field, HasName) = (value, true);
    }

    /// <summary>Time to live of new entries in seconds; null: they do not expire.</summary>
    public int? TimeToLiveSeconds
    {
        get;
        init => (field, HasTimeToLiveSeconds) = (value, true);
    }

    /// <summary>Whether the name changes.</summary>
    [JsonIgnore]
    public bool HasName { get; private init; }

    /// <summary>Whether the time to live changes.</summary>
    [JsonIgnore]
    public bool HasTimeToLiveSeconds { get; private init; }
}

/// <summary>One member of a room.</summary>
/// <param name="UserId">The account.</param>
/// <param name="Username">Its username.</param>
/// <param name="Role">Its role in the room.</param>
public sealed record RoomMember(Guid UserId, string Username, RoomRole Role);

/// <summary><c>POST /v1/rooms/{id}/members</c>, and a member that a commit adds. Names the account by its username or by its id.</summary>
/// <param name="Username">The account to add.</param>
/// <param name="Role">Its role.</param>
/// <param name="UserId">The account to add, instead of <paramref name="Username"/>. A directory cannot map an id to another account.</param>
public sealed record AddMemberRequest(string? Username = null, RoomRole Role = RoomRole.Member, Guid? UserId = null);

/// <summary><c>PATCH /v1/rooms/{id}/members/{userId}</c> (RFC 7396): missing members stay as they are.</summary>
public sealed record ChangeRoleRequest : IPatch
{
    /// <summary>Changes nothing.</summary>
    [JsonConstructor]
    public ChangeRoleRequest()
    {
    }

    /// <summary>Changes the role.</summary>
    public ChangeRoleRequest(RoomRole role) => Role = role;

    /// <summary>The new role.</summary>
    public RoomRole Role
    {
        get;
        init => (field, HasRole) = (value, true);
    }

    /// <summary>Whether the role changes.</summary>
    [JsonIgnore]
    public bool HasRole { get; private init; }
}

/// <summary>The head of a room's log: the answer of the hub's <c>Heads</c>.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="HeadSeq">Seq of the newest entry.</param>
/// <param name="FirstSeq">Seq of the oldest entry that the caller can still read; <c>HeadSeq + 1</c> when none is left.</param>
/// <param name="DeliveredSeq">The caller's delivery cursor.</param>
/// <param name="Unread">Entries after the delivery cursor.</param>
public sealed record RoomHead(Guid RoomId, long HeadSeq, long FirstSeq, long DeliveredSeq, long Unread);

/// <summary><c>POST /v1/rooms/{id}/signals</c>: the same as the hub's <c>Signal</c>. Replies 204.</summary>
/// <param name="Signal">1 to <see cref="Limits.SignalBytes"/> bytes, opaque to the server, delivered at most once to the members who are connected now.</param>
public sealed record SignalRequest(byte[] Signal);

/// <summary><c>PUT /v1/rooms/{id}/delivered</c>.</summary>
/// <param name="Seq">The caller has received everything up to here. The cursor only moves forward.</param>
public sealed record MarkDeliveredRequest(long Seq);
