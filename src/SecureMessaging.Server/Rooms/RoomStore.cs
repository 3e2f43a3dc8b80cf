using System.Data.Common;
using System.Security.Cryptography;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.Platform.Keys;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Server.Trust;

namespace SecureMessaging.Server.Rooms;

internal sealed record RoomCounts
{
    public long Rooms { get; init; }

    public long Entries { get; init; }
}

/// <summary>The table of rooms. Their members are in the <see cref="RosterStore"/>.</summary>
internal sealed class RoomStore(Database database, ServerSecret secret, TimeProvider time)
{
    private const string ListSql = """
        select r.id, r.kind, r.name, r.visible, r.time_to_live, r.created_on, r.epoch, m.role, r.last_seq as head_seq,
            case when r.first_seq > m.joined_seq then r.first_seq else m.joined_seq end as floor_seq, m.delivered_seq, r.scheme, r.generation,
            r.founding
        from room_members m join rooms r on r.id = m.room_id
        where m.user_id = @UserId
        """;

    private const string GetSql = ListSql + " and m.room_id = @RoomId";

    private const string InsertSql = """
        insert into rooms (id, kind, name, visible, time_to_live, direct_key, created_on, scheme, founding)
        values (@Id, @Kind, @Name, @Visible, @TimeToLive, @DirectKey, @CreatedOn, @Scheme, @Founding)
        on conflict do nothing
        """;

    // From the table of rooms: counting entries would read the largest table.
    private const string CountSql = "select count(*) as rooms, coalesce(sum(last_seq - first_seq + 1), 0) as entries from rooms";

    private const string FindDirectSql = "select id from rooms where direct_key = @DirectKey and scheme = @Scheme";

    private const string SettingsSql = "select name, time_to_live from rooms where id = @RoomId";

    private const string ChangeSettingsSql = "update rooms set name = @Name, time_to_live = @TimeToLiveSeconds where id = @RoomId";

    // By the indices of the migration. A founding names one or two accounts and has their identity key.
    private static readonly string EraseFoundingSql = $"""
        update rooms set founding = null where founding is not null and
            (substr(founding, {Founding.FounderOffset + 1}, {SignedObject.IdLength}) = @User
             or substr(founding, {Founding.OtherOffset + 1}, {SignedObject.IdLength}) = @User)
        """;

    private const string DeleteSql = "delete from rooms where id = @RoomId";

    private readonly byte[] directKey = secret.DeriveKey("direct-room");

    public async Task<RoomCounts> CountAsync(CancellationToken cancellationToken) =>
        await database.ReadAsync(connection => connection.QuerySingleAsync<RoomCounts>(CountSql, null, cancellationToken), cancellationToken)
            ?? new RoomCounts();

    public async Task<List<Room>> ListAsync(Caller caller, CancellationToken cancellationToken) =>
        (await database.ReadAsync(
            connection => connection.QueryAsync<RoomRow>(ListSql + " order by r.id", new { caller.UserId }, cancellationToken), cancellationToken))
        .ConvertAll(row => row.ToRoom());

    public async Task<Room> GetAsync(Caller caller, Guid roomId, CancellationToken cancellationToken) =>
        (await database.ReadAsync(
            connection => connection.QuerySingleAsync<RoomRow>(GetSql, new { caller.UserId, RoomId = roomId }, cancellationToken), cancellationToken))?.ToRoom()
        ?? throw ApiException.NotFound();

    /// <summary>False: the id, or the direct room of these two people in this scheme, is taken.</summary>
    public async Task<bool> TryInsertAsync(
        DbTransaction transaction, Guid id, CreateRoomRequest request, byte[]? directKey, CancellationToken cancellationToken)
    {
        var parameters = new
        {
            Id = id,
            Kind = (int)request.Kind,
            request.Name,
            request.Visible,
            TimeToLive = request.TimeToLiveSeconds,
            DirectKey = directKey,
            CreatedOn = time.Now().ToDay(),
            request.Scheme,
            request.Founding,
        };
        return await transaction.ExecuteAsync(InsertSql, parameters, cancellationToken) > 0;
    }

    public static Task<Guid?> FindDirectAsync(DbTransaction transaction, byte[] directKey, string scheme, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<Guid?>(FindDirectSql, new { DirectKey = directKey, Scheme = scheme }, cancellationToken);

    /// <summary>Members that the request does not have stay as they are. Returns the settings as a whole.</summary>
    public static async Task<RoomSettings> ChangeSettingsAsync(
        DbTransaction transaction, Guid roomId, ChangeRoomRequest request, CancellationToken cancellationToken)
    {
        var before = await transaction.QuerySingleAsync<SettingsRow>(SettingsSql, new { RoomId = roomId }, cancellationToken);
        var settings = new RoomSettings(
            request.HasName ? request.Name : before?.Name, request.HasTimeToLiveSeconds ? request.TimeToLiveSeconds : before?.TimeToLive);
        await transaction.ExecuteAsync(ChangeSettingsSql, new { RoomId = roomId, settings.Name, settings.TimeToLiveSeconds }, cancellationToken);
        return settings;
    }

    /// <summary>Deletes the foundings that name the account. Members keep their copies, and give them to newcomers in the Welcome.</summary>
    public static Task EraseFoundingsAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(EraseFoundingSql, new { User = userId.ToByteArray(bigEndian: true) }, cancellationToken);

    public static Task DeleteAsync(DbTransaction transaction, Guid roomId, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(DeleteSql, new { RoomId = roomId }, cancellationToken);

    /// <summary>Identifies the direct room of two people. A reader of the table cannot learn from it who they are.</summary>
    public byte[] DirectKey(Guid one, Guid other)
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
        public byte[]? Founding { get; init; }

        public Room ToRoom() => new(
            Id, Kind, Name, Visible, TimeToLive, CreatedOn, Epoch, Role, HeadSeq, FloorSeq, DeliveredSeq,
            LogStore.Unread(HeadSeq, FloorSeq, DeliveredSeq), Scheme, Generation, Founding);
    }
}
