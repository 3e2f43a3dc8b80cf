using System.Buffers;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Rooms;

/// <summary>Requests about rooms that are checked against the contract before a store sees them, the same for REST and GraphQL.</summary>
internal sealed class RoomRequests(RoomStore rooms, RosterStore roster, UserStore users, Limits limits)
{
    private const int SchemeCharacters = 32;

    private static readonly SearchValues<char> SchemeCharacterSet = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789.-");

    /// <summary>The room, and whether this request created it rather than an earlier attempt.</summary>
    public async Task<(Room Room, bool Created)> CreateAsync(Caller caller, CreateRoomRequest request, CancellationToken cancellationToken)
    {
        RequireSettings(request.Name, request.TimeToLiveSeconds);
        if (request.Id == Guid.Empty)
            throw ApiException.Invalid("id must be a random UUID.", "id");
        if (request.Scheme.Length is 0 or > SchemeCharacters || request.Scheme.AsSpan().ContainsAnyExcept(SchemeCharacterSet))
            throw ApiException.Invalid($"scheme must have 1 to {SchemeCharacters} characters of a-z, 0-9, dot and hyphen.", "scheme");
        if (request.Members.Length >= limits.RoomMembers)
            throw ApiException.TooMany($"A room has {limits.RoomMembers} members at most.", "members");
        if (Array.IndexOf(request.Members, null) is >= 0 and var empty)
            throw ApiException.Invalid("A username must not be null.", $"members/{empty}");
        var others = await FindAsync(request.Members, cancellationToken);
        others.Remove(caller.UserId);
        if (request.Kind == RoomKind.Direct && others.Count != 1)
            throw ApiException.Invalid("members must name exactly one other account for a direct room.", "members");
        return await rooms.CreateAsync(caller, request, [.. others], cancellationToken);
    }

    public async Task<Room> ChangeSettingsAsync(Caller caller, Guid roomId, ChangeRoomRequest request, CancellationToken cancellationToken)
    {
        RequireSettings(request.Name, request.TimeToLiveSeconds);
        await rooms.ChangeSettingsAsync(caller, roomId, request, cancellationToken);
        return await rooms.GetAsync(caller, roomId, cancellationToken);
    }

    public async Task<RoomMember> AddMemberAsync(Caller caller, Guid roomId, AddMemberRequest request, CancellationToken cancellationToken)
    {
        // Asked first, so that a stranger to the room does not learn from it who has an account.
        await rooms.GetAsync(caller, roomId, cancellationToken);
        var userId = (await FindAsync([request.Username], cancellationToken)).Single();
        await roster.AddAsync(caller, roomId, userId, request.Role, cancellationToken);
        return (await roster.ListAsync(caller, roomId, cancellationToken)).FirstOrDefault(member => member.UserId == userId) ?? throw ApiException.NotFound();
    }

    /// <summary>The accounts of these usernames, each once, in the order given.</summary>
    private async Task<List<Guid>> FindAsync(string[] usernames, CancellationToken cancellationToken)
    {
        string[] distinct = [.. usernames.Select(name => name.ToLowerInvariant()).Distinct(StringComparer.Ordinal)];
        var found = (await users.FindByUsernamesAsync(distinct, cancellationToken)).ToDictionary(user => user.Username, user => user.Id, StringComparer.Ordinal);
        return Array.TrueForAll(distinct, found.ContainsKey)
            ? [.. distinct.Select(name => found[name])]
            : throw new ApiException(ErrorCode.NotFound, "There is no account with this username, or with one of these usernames.");
    }

    private void RequireSettings(byte[]? name, int? timeToLiveSeconds)
    {
        if (name?.Length > limits.NameBytes)
            throw ApiException.TooLarge("name", limits.NameBytes);
        if (timeToLiveSeconds is { } ttl && (ttl < limits.TimeToLiveMinSeconds || ttl > limits.TimeToLiveMaxSeconds))
            throw ApiException.Invalid($"timeToLiveSeconds must be {limits.TimeToLiveMinSeconds} to {limits.TimeToLiveMaxSeconds}.", "timeToLiveSeconds");
    }
}
