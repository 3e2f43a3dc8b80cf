using System.Runtime.Serialization;
using System.Text.Json.Serialization;

namespace SecureMessaging.Protocol;

/// <summary>How many people a room is for.</summary>
public enum RoomKind
{
    /// <summary>A kind of a later version. Only readers know it: a request that carries it is refused.</summary>
    [EnumMember(Value = "unknown")] Unknown = -1,

    /// <summary>A room of any number of people with roles.</summary>
    [EnumMember(Value = "group")] Group = 0,

    /// <summary>The one room of exactly two people; its roster never changes.</summary>
    [EnumMember(Value = "direct")] Direct = 1,
}

/// <summary>What a member may do in a room.</summary>
public enum RoomRole
{
    /// <summary>A role of a later version. Take it for the least. Only readers know it: a request that carries it is refused.</summary>
    [EnumMember(Value = "unknown")] Unknown = -1,

    /// <summary>Reads, writes, retracts own entries, leaves.</summary>
    [EnumMember(Value = "member")] Member = 0,

    /// <summary>Also adds and removes members and changes settings.</summary>
    [EnumMember(Value = "admin")] Admin = 1,

    /// <summary>Also gives and takes roles and deletes the room. A room always has one.</summary>
    [EnumMember(Value = "owner")] Owner = 2,
}

/// <summary><c>POST /v1/rooms</c>. The caller becomes owner (in a direct room, both are).</summary>
/// <param name="Kind">Group, or direct: then the room of these two in this scheme is returned when it exists already.</param>
/// <param name="Members">Usernames of the others.</param>
/// <param name="Name">Opaque to the server; encrypt it.</param>
/// <param name="Visible">Whether the server stores and returns the sender of each entry. Default: sealed.</param>
/// <param name="TimeToLiveSeconds">Default time to live of the room's entries; null keeps them.</param>
/// <param name="Id">Chosen by the client to make the call repeatable (random, version 4); the server chooses when null.</param>
/// <param name="Scheme">How its members encrypt, of <see cref="Schemes"/> or 1 to 32 of <c>a-z 0-9 . -</c>; never changes.</param>
public sealed record CreateRoomRequest(
    RoomKind Kind, string[] Members, byte[]? Name = null, bool Visible = false, int? TimeToLiveSeconds = null, Guid? Id = null, string Scheme = Schemes.Opaque);

/// <summary>A room as one of its members sees it.</summary>
/// <param name="Id">The room's id.</param>
/// <param name="Kind">Group or direct.</param>
/// <param name="Name">Opaque.</param>
/// <param name="Visible">Whether entries carry their sender.</param>
/// <param name="TimeToLiveSeconds">Default time to live of entries.</param>
/// <param name="CreatedAt">The day of creation (UTC).</param>
/// <param name="Epoch">The MLS epoch (RFC 9420 section 8), 0 in rooms of other schemes.</param>
/// <param name="Role">The caller's role.</param>
/// <param name="HeadSeq">Seq of the newest entry.</param>
/// <param name="FirstSeq">Seq of the oldest entry that the caller can still read; <c>HeadSeq + 1</c> when none is left.</param>
/// <param name="DeliveredSeq">The caller's delivery cursor.</param>
/// <param name="Unread">Entries after the delivery cursor.</param>
/// <param name="Scheme">How its members encrypt, of <see cref="Schemes"/>.</param>
/// <param name="Generation">How often its MLS group has begun anew.</param>
public sealed record Room(
    Guid Id, RoomKind Kind, byte[]? Name, bool Visible, int? TimeToLiveSeconds, DateTime CreatedAt, long Epoch,
    RoomRole Role, long HeadSeq, long FirstSeq, long DeliveredSeq, long Unread, string Scheme = Schemes.Opaque, int Generation = 0);

/// <summary>What admins of a room may change, as it stands in its log.</summary>
/// <param name="Name">Opaque.</param>
/// <param name="TimeToLiveSeconds">For entries from now on; null keeps them.</param>
public sealed record RoomSettings(byte[]? Name, int? TimeToLiveSeconds);

/// <summary><c>PATCH /v1/rooms/{id}</c> (RFC 7396): what is absent stays as it is, what is null is cleared.</summary>
public sealed record ChangeRoomRequest : IPatch
{
    /// <summary>Opaque to the server; encrypt it.</summary>
    public byte[]? Name
    {
        get;
        init => (field, HasName) = (value, true);
    }

    /// <summary>For entries from now on; null keeps them.</summary>
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

    /// <inheritdoc/>
    public bool Has(string member) => member is "name" ? HasName : HasTimeToLiveSeconds;
}

/// <summary>One member of a room.</summary>
/// <param name="UserId">The account.</param>
/// <param name="Username">Its username.</param>
/// <param name="Role">Its role in the room.</param>
public sealed record RoomMember(Guid UserId, string Username, RoomRole Role);

/// <summary><c>POST /v1/rooms/{id}/members</c>.</summary>
/// <param name="Username">Whom to add.</param>
/// <param name="Role">With which role.</param>
public sealed record AddMemberRequest(string Username, RoomRole Role = RoomRole.Member);

/// <summary><c>PATCH /v1/rooms/{id}/members/{userId}</c> (RFC 7396): what is absent stays as it is.</summary>
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

    /// <inheritdoc/>
    public bool Has(string member) => HasRole;
}

/// <summary>Where a room's log stands: the answer of the hub's <c>Heads</c>.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="HeadSeq">Seq of the newest entry.</param>
/// <param name="FirstSeq">Seq of the oldest entry that the caller can still read; <c>HeadSeq + 1</c> when none is left.</param>
/// <param name="DeliveredSeq">The caller's delivery cursor.</param>
/// <param name="Unread">Entries after the delivery cursor.</param>
public sealed record RoomHead(Guid RoomId, long HeadSeq, long FirstSeq, long DeliveredSeq, long Unread);

/// <summary><c>POST /v1/rooms/{id}/signals</c>: what the hub's <c>Signal</c> does. Replies 204.</summary>
/// <param name="Signal">1 to <see cref="Limits.SignalBytes"/> bytes, opaque to the server, delivered at most once to the members who are connected now.</param>
public sealed record SignalRequest(byte[] Signal);

/// <summary><c>PUT /v1/rooms/{id}/delivered</c>.</summary>
/// <param name="Seq">Everything up to here has reached the caller. Moves forward only.</param>
public sealed record MarkDeliveredRequest(long Seq);
