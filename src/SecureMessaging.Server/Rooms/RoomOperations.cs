using System.Buffers;
using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Server.Trust;

namespace SecureMessaging.Server.Rooms;

/// <summary>
/// Changes of rooms and their rosters, the same for all doors. Each runs in one transaction under the room's lock and is an entry of the room's log, published
/// after the commit. Reads are one query: doors call <see cref="RoomStore"/> and <see cref="RosterStore"/> for them.
/// </summary>
internal sealed class RoomOperations(
    Database database, RoomStore rooms, RosterStore roster, SettingsChanges settings, UserStore users, LogStore log, CommitFeed feed, RoomEvents events,
    Limits limits)
{
    public const int SchemeCharacters = 32;

    public const string SchemePattern = "^[a-z0-9.-]+$";

    // The characters of SchemePattern. A regular expression would let a line break at the end pass.
    private static readonly SearchValues<char> SchemeCharacterSet = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789.-");

    /// <summary>Creates the room, or returns the one that an earlier attempt with the same id, or either of the two people in this scheme, created.</summary>
    public async Task<(Room Room, bool Created)> CreateAsync(Caller caller, CreateRoomRequest request, CancellationToken cancellationToken)
    {
        var others = await RequireOthersAsync(caller, request, cancellationToken);
        var directKey = request.Kind == RoomKind.Direct ? rooms.DirectKey(caller.UserId, others[0]) : null;
        var isFounded = request.Founding is not null || request.Scheme == Schemes.Mls10;
        var id = isFounded ? RequireFounding(caller, request, others).RoomId : request.Id ?? Guid.NewGuid();
        var joined = new List<LogEntry>();
        await database.WriteAsync(
            async transaction =>
            {
                joined.Clear();
                if (!await rooms.TryInsertAsync(transaction, id, request, directKey, cancellationToken))
                {
                    if (directKey is not null)
                        id = await RoomStore.FindDirectAsync(transaction, directKey, request.Scheme, cancellationToken) ?? id;
                    return;
                }

                var roleOfOthers = directKey is null ? RoomRole.Member : RoomRole.Owner;
                joined.AddRange(await roster.JoinAsync(
                    transaction, id, [(caller.UserId, RoomRole.Owner), .. others.Select(other => (other, roleOfOthers))], cancellationToken));
            },
            cancellationToken);
        await feed.PublishAsync(id, [.. joined]);
        // When the id belongs to a room that the caller is not in, this read throws NotFound.
        return (await rooms.GetAsync(caller, id, cancellationToken), joined.Count > 0);
    }

    /// <summary>Members that the request does not have stay as they are. The log gets the settings as a whole.</summary>
    public async Task<Room> ChangeSettingsAsync(Caller caller, Guid roomId, ChangeRoomRequest request, CancellationToken cancellationToken)
    {
        settings.Require(request);
        await ChangeAsync(
            caller, roomId, (transaction, own) => settings.ApplyAsync(transaction, roomId, own, request, cancellationToken), cancellationToken);
        return await rooms.GetAsync(caller, roomId, cancellationToken);
    }

    public async Task DeleteAsync(Caller caller, Guid roomId, CancellationToken cancellationToken)
    {
        await ChangeAsync(
            caller,
            roomId,
            async (transaction, own) =>
            {
                if (own < RoomRole.Owner)
                    throw ApiException.Forbidden();
                await RoomStore.DeleteAsync(transaction, roomId, cancellationToken);
                return null;
            },
            cancellationToken);
        events.RaiseDeleted(roomId);
    }

    /// <summary>Idempotent: adding a member again changes nothing.</summary>
    public async Task<RoomMember> AddMemberAsync(Caller caller, Guid roomId, AddMemberRequest request, CancellationToken cancellationToken)
    {
        // First, so that a stranger to the room does not learn whether an account exists.
        await log.RequireMemberAsync(caller, roomId, cancellationToken);
        var userId = await FindAsync(request, cancellationToken);
        await ChangeRosterAsync(caller, roomId, RosterEdit.Nothing with { Add = [(userId, request.Role)] }, cancellationToken);
        return (await roster.ListAsync(caller, roomId, cancellationToken)).FirstOrDefault(member => member.UserId == userId) ?? throw ApiException.NotFound();
    }

    /// <summary>A request without a role changes nothing, but checks that the account is a member.</summary>
    public async Task ChangeRoleAsync(Caller caller, Guid roomId, Guid userId, ChangeRoleRequest request, CancellationToken cancellationToken)
    {
        if (request.HasRole)
        {
            await ChangeRosterAsync(caller, roomId, RosterEdit.Nothing with { Roles = [new MemberRole(userId, request.Role)] }, cancellationToken);
        }
        else if (!Array.Exists(await roster.ListAsync(caller, roomId, cancellationToken), member => member.UserId == userId))
        {
            throw ApiException.NotFound();
        }
    }

    /// <summary>Removes a member, or the caller. When the last member leaves, the room is deleted.</summary>
    public async Task RemoveMemberAsync(Caller caller, Guid roomId, Guid userId, CancellationToken cancellationToken)
    {
        var left = await ChangeAsync(
            caller,
            roomId,
            (transaction, own) => roster.RemoveAsync(transaction, roomId, own, userId, userId == caller.UserId, cancellationToken),
            cancellationToken);
        if (left is null)
            events.RaiseDeleted(roomId);
    }

    private Task<LogEntry?> ChangeRosterAsync(Caller caller, Guid roomId, RosterEdit edit, CancellationToken cancellationToken) => ChangeAsync(
        caller,
        roomId,
        async (transaction, own) =>
            (await roster.ApplyAsync(transaction, roomId, own, edit, _ => ApiException.NotFound(), cancellationToken)).SingleOrDefault(),
        cancellationToken);

    private async Task<LogEntry?> ChangeAsync(
        Caller caller, Guid roomId, Func<DbTransaction, RoomRole, Task<LogEntry?>> change, CancellationToken cancellationToken)
    {
        var entry = await feed.WriteAsync(roomId, () => database.WriteAsync(
            async transaction =>
            {
                await log.LockRoomAsync(transaction, roomId, cancellationToken);
                return await change(transaction, await RosterStore.RequireRoleAsync(transaction, roomId, caller.UserId, cancellationToken));
            },
            cancellationToken));
        if (entry is not null)
            await feed.PublishAsync(roomId, entry);
        return entry;
    }

    private async Task<List<Guid>> RequireOthersAsync(Caller caller, CreateRoomRequest request, CancellationToken cancellationToken)
    {
        settings.Require(new RoomSettings(request.Name, request.TimeToLiveSeconds));
        if (request.Id == Guid.Empty)
            throw ApiException.Invalid("id must be a random UUID.", "id");
        if (request.Scheme.Length is 0 or > SchemeCharacters || request.Scheme.AsSpan().ContainsAnyExcept(SchemeCharacterSet))
            throw ApiException.Invalid($"scheme must have 1 to {SchemeCharacters} characters of a-z, 0-9, dot and hyphen.", "scheme");
        var userIds = request.UserIds ?? [];
        if (request.Members.Length + userIds.Length >= limits.RoomMembers)
        {
            throw ApiException.TooMany(
                $"A room may have at most {limits.RoomMembers} members.", request.Members.Length >= limits.RoomMembers ? "members" : "userIds");
        }

        if (Array.IndexOf(request.Members, null) is >= 0 and var empty)
            throw ApiException.Invalid("A username must not be null.", $"members/{empty}");
        var named = await FindAsync(request.Members, cancellationToken);
        await RequireKnownAsync(userIds, cancellationToken);
        List<Guid> others = [.. named.Concat(userIds).Where(id => id != caller.UserId).Distinct()];
        return request.Kind != RoomKind.Direct || others.Count == 1
            ? others
            : throw ApiException.Invalid("members and userIds must name exactly one other account for a direct room.", "members");
    }

    private static Founding RequireFounding(Caller caller, CreateRoomRequest request, List<Guid> others)
    {
        if (request.Founding is null)
            throw ApiException.Invalid($"A room of the scheme {Schemes.Mls10} needs a founding: members compute the room's id from it.", "founding");
        var founding = Founding.TryRead(request.Founding) ?? throw ApiException.Invalid("founding must be a Founding of version 1.", "founding");
        if (request.Scheme != Schemes.Mls10)
            throw ApiException.Invalid($"A room with a founding has the scheme {Schemes.Mls10}.", "founding");
        if (founding.IsDirect != (request.Kind == RoomKind.Direct))
            throw ApiException.Invalid("founding must have the kind of the request.", "founding");
        if (founding.Founder != caller.UserId)
            throw ApiException.Invalid("The founder in founding must be the caller.", "founding");
        if (founding.Other is { } other && other != others[0])
            throw ApiException.Invalid("The other user in founding must be the other member.", "founding");
        return request.Id is null || request.Id == founding.RoomId
            ? founding
            : throw ApiException.Invalid("id must be absent, or the id that founding gives.", "id", "founding");
    }

    private async Task RequireKnownAsync(Guid[] userIds, CancellationToken cancellationToken)
    {
        if (userIds.Length == 0)
            return;
        var known = (await users.FindByIdsAsync(userIds, cancellationToken)).Select(user => user.Id).ToHashSet();
        if (Array.FindIndex(userIds, id => !known.Contains(id)) is >= 0 and var unknown)
            throw ApiException.UnknownAccount($"userIds/{unknown}");
    }

    private async Task<Guid> FindAsync(AddMemberRequest request, CancellationToken cancellationToken)
    {
        if (request.Username is null == request.UserId is null)
            throw ApiException.Invalid("Either username or userId must be given.", "username", "userId");
        if (request.Username is { } username)
            return (await FindAsync([username], cancellationToken)).Single();
        var known = await users.FindByIdsAsync([request.UserId!.Value], cancellationToken);
        return known.Count == 1 ? known[0].Id : throw ApiException.UnknownAccount("userId");
    }

    private async Task<List<Guid>> FindAsync(string[] usernames, CancellationToken cancellationToken)
    {
        string[] distinct = [.. usernames.Select(name => name.ToLowerInvariant()).Distinct(StringComparer.Ordinal)];
        var accounts = await users.FindByUsernamesAsync(distinct, cancellationToken);
        var found = accounts.ToDictionary(user => user.Username, user => user.Id, StringComparer.Ordinal);
        return Array.TrueForAll(distinct, found.ContainsKey)
            ? [.. distinct.Select(name => found[name])]
            : throw new ApiException(ErrorCode.NotFound, "No account has this username, or one of these usernames.");
    }
}
