using System.Data.Common;
using System.Security.Cryptography;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Rooms;

internal sealed record RoomCounts
{
    public long Rooms { get; init; }

    public long Entries { get; init; }
}

/// <summary>Rooms: creating, finding, changing settings, deleting. Who is in them is the <see cref="RosterStore"/>'s.</summary>
internal sealed class RoomStore(Database database, LogStore log, CommitFeed feed, RoomEvents events, ServerSecret secret, TimeProvider time)
{
    private const string ListSql = """
        select r.id, r.kind, r.name, r.visible, r.time_to_live, r.created_on, r.epoch, m.role, r.last_seq as head_seq,
            case when r.first_seq > m.joined_seq then r.first_seq else m.joined_seq end as floor_seq, m.delivered_seq, r.scheme, r.generation
        from room_members m join rooms r on r.id = m.room_id
        where m.user_id = @UserId
        """;

    private const string GetSql = ListSql + " and m.room_id = @RoomId";

    private const string InsertSql = """
        insert into rooms (id, kind, name, visible, time_to_live, direct_key, created_on, scheme)
        values (@Id, @Kind, @Name, @Visible, @TimeToLive, @DirectKey, @CreatedOn, @Scheme)
        on conflict do nothing
        """;

    // From the rooms, not the entries: counting those would read the largest table.
    private const string CountSql = "select count(*) as rooms, coalesce(sum(last_seq - first_seq + 1), 0) as entries from rooms";

    private const string FindDirectSql = "select id from rooms where direct_key = @DirectKey and scheme = @Scheme";

    private readonly byte[] directKey = secret.DeriveKey("direct-room");

    public async Task<RoomCounts> CountAsync(CancellationToken cancellationToken) =>
        await database.ReadAsync(connection => connection.QuerySingleAsync<RoomCounts>(CountSql, null, cancellationToken), cancellationToken) ?? new RoomCounts();

    public async Task<List<Room>> ListAsync(Caller caller, CancellationToken cancellationToken) =>
        (await database.ReadAsync(connection => connection.QueryAsync<RoomRow>(ListSql + " order by r.id", new { caller.UserId }, cancellationToken), cancellationToken))
        .ConvertAll(row => row.ToRoom());

    public async Task<Room> GetAsync(Caller caller, Guid roomId, CancellationToken cancellationToken) =>
        (await database.ReadAsync(
            connection => connection.QuerySingleAsync<RoomRow>(GetSql, new { caller.UserId, RoomId = roomId }, cancellationToken), cancellationToken))?.ToRoom()
        ?? throw ApiException.NotFound();

    /// <summary>Creates the room, or returns the one that an earlier attempt with the same id, or either of the two people in this scheme, created.</summary>
    public async Task<(Room Room, bool Created)> CreateAsync(Caller caller, CreateRoomRequest request, Guid[] others, CancellationToken cancellationToken)
    {
        var key = request.Kind == RoomKind.Direct ? DirectKey(caller.UserId, others[0]) : null;
        var id = request.Id ?? Guid.NewGuid();
        LogEntry[] joined = [];
        await database.WriteAsync(
            async transaction =>
            {
                joined = [];
                var inserted = await transaction.ExecuteAsync(
                    InsertSql,
                    new
                    {
                        Id = id,
                        Kind = (int)request.Kind,
                        request.Name,
                        request.Visible,
                        TimeToLive = request.TimeToLiveSeconds,
                        DirectKey = key,
                        CreatedOn = time.Now().ToDay(),
                        request.Scheme,
                    },
                    cancellationToken);
                if (inserted == 0)
                {
                    if (key is not null && await transaction.QuerySingleAsync<Guid?>(FindDirectSql, new { DirectKey = key, request.Scheme }, cancellationToken) is { } existing)
                        id = existing;
                    return;
                }

                var entries = new List<LogEntry> { await JoinAsync(transaction, id, caller.UserId, RoomRole.Owner, cancellationToken) };
                foreach (var other in others)
                    entries.Add(await JoinAsync(transaction, id, other, key is null ? RoomRole.Member : RoomRole.Owner, cancellationToken));
                joined = [.. entries];
            },
            cancellationToken);
        await feed.PublishAsync(id, joined);
        // A taken id of a room that the caller is not in is answered as everywhere else: not found.
        return (await GetAsync(caller, id, cancellationToken), joined.Length > 0);
    }

    /// <summary>Members that the request does not have stay as they are. The log gets the settings as a whole.</summary>
    public async Task ChangeSettingsAsync(Caller caller, Guid roomId, ChangeRoomRequest request, CancellationToken cancellationToken)
    {
        var entry = await feed.WriteAsync(roomId, () => database.WriteAsync<LogEntry?>(
            async transaction =>
            {
                await log.LockRoomAsync(transaction, roomId, cancellationToken);
                if (await RosterStore.RequireRoleAsync(transaction, roomId, caller.UserId, cancellationToken) < RoomRole.Admin)
                    throw ApiException.Forbidden();
                if (request is { HasName: false, HasTimeToLiveSeconds: false })
                    return null;
                var before = await transaction.QuerySingleAsync<SettingsRow>("select name, time_to_live from rooms where id = @RoomId", new { RoomId = roomId }, cancellationToken);
                var settings = new RoomSettings(request.HasName ? request.Name : before?.Name, request.HasTimeToLiveSeconds ? request.TimeToLiveSeconds : before?.TimeToLive);
                await transaction.ExecuteAsync(
                    "update rooms set name = @Name, time_to_live = @TimeToLiveSeconds where id = @RoomId",
                    new { RoomId = roomId, settings.Name, settings.TimeToLiveSeconds }, cancellationToken);
                return await log.AppendAsync(transaction, roomId, new(0, EntryKind.SettingsChanged, default, Settings: settings), cancellationToken);
            },
            cancellationToken));
        if (entry is not null)
            await feed.PublishAsync(roomId, entry);
    }

    public async Task DeleteAsync(Caller caller, Guid roomId, CancellationToken cancellationToken)
    {
        await database.WriteAsync(
            async transaction =>
            {
                await log.LockRoomAsync(transaction, roomId, cancellationToken);
                if (await RosterStore.RequireRoleAsync(transaction, roomId, caller.UserId, cancellationToken) < RoomRole.Owner)
                    throw ApiException.Forbidden();
                await transaction.ExecuteAsync("delete from rooms where id = @RoomId", new { RoomId = roomId }, cancellationToken);
            },
            cancellationToken);
        events.RaiseDeleted(roomId);
    }

    /// <summary>Adds a member with its roster entry, inside the caller's transaction and under the room's lock.</summary>
    public async Task<LogEntry> JoinAsync(DbTransaction transaction, Guid roomId, Guid userId, RoomRole role, CancellationToken cancellationToken)
    {
        var entry = await log.AppendAsync(transaction, roomId, new(0, EntryKind.MemberJoined, default, UserId: userId, Role: role), cancellationToken);
        // The account may have been erased since its name was looked up.
        var added = await transaction.ExecuteAsync(
            """
            insert into room_members (room_id, user_id, role, joined_seq, delivered_seq)
            select @RoomId, id, @Role, @Seq, @Seq from users where id = @UserId and not disabled
            """,
            new { RoomId = roomId, UserId = userId, Role = (int)role, entry.Seq }, cancellationToken);
        return added == 1 ? entry : throw ApiException.NotFound();
    }

    /// <summary>Finds the room of two people without telling, to a reader of the table, who they are.</summary>
    private byte[] DirectKey(Guid one, Guid other)
    {
        Span<byte> pair = stackalloc byte[32];
        (one.CompareTo(other) < 0 ? one : other).TryWriteBytes(pair, bigEndian: true, out _);
        (one.CompareTo(other) < 0 ? other : one).TryWriteBytes(pair[16..], bigEndian: true, out _);
        return HMACSHA256.HashData(directKey, pair)[..16];
    }

    private sealed record SettingsRow
    {
        public byte[]? Name { get; init; }
        public int? TimeToLive { get; init; }
    }

    private sealed record RoomRow
    {
        public Guid Id { get; init; }
        public RoomKind Kind { get; init; }
        public byte[]? Name { get; init; }
        public bool Visible { get; init; }
        public int? TimeToLive { get; init; }
        public DateTime CreatedOn { get; init; }
        public long Epoch { get; init; }
        public RoomRole Role { get; init; }
        public long HeadSeq { get; init; }
        public long FloorSeq { get; init; }
        public long DeliveredSeq { get; init; }
        public string Scheme { get; init; } = "";
        public int Generation { get; init; }

        public Room ToRoom() => new(
            Id, Kind, Name, Visible, TimeToLive, CreatedOn, Epoch, Role, HeadSeq, FloorSeq, DeliveredSeq,
            LogStore.Unread(HeadSeq, FloorSeq, DeliveredSeq), Scheme, Generation);
    }
}
