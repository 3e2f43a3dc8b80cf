using System.Data;
using System.Data.Common;
using System.Text.Json;
using Dapper;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.RoomLog;

internal sealed record ProofRow
{
    public Guid? Id { get; init; }
    public byte[]? OwnerProof { get; init; }
    public int KeyVersion { get; init; }
    public EntryKind Kind { get; init; }
}

internal sealed record RetractionRow
{
    public long Seq { get; init; }
    public DateTime CreatedAt { get; init; }
}

/// <summary>Reads room logs and appends entries that are not envelopes. Envelopes go through <see cref="SendQueue"/>.</summary>
internal sealed class LogStore(Database database, OwnerProof ownerProof, TimeProvider time, Limits limits, IOptions<MessagesOptions> options)
{
    /// <summary>An entry keeps its id and owner proof at least this long after its content is deleted, so that a late retry is still recognised.</summary>
    public static readonly TimeSpan RepeatWindow = TimeSpan.FromDays(1);

    /// <summary>When an entry whose content is deleted now loses its id and owner proof.</summary>
    /// <remarks>To the day: from the minute at which a message expired, and its time to live, a reader of the database would know when it was sent.</remarks>
    public static DateTime ForgetAt(DateTime now) => now.Add(RepeatWindow).AddTicks(TimeSpan.TicksPerDay - 1).ToDay();

    // One statement: the entries and the permission to read them come from one snapshot.
    private const string SyncSql = $"""
        with me as (
            select r.last_seq, case when r.first_seq > m.joined_seq then r.first_seq else m.joined_seq end as first_seq
            from room_members m join rooms r on r.id = m.room_id
            where m.room_id = @RoomId and m.user_id = @UserId)
        select me.last_seq as head_seq, me.first_seq as floor_seq, e.*
        from me left join (
            select {EntryRow.Columns} from entries
            where room_id = @RoomId and seq > @AfterSeq and seq >= (select first_seq from me)
            order by seq limit @Limit) e on true
        order by e.seq
        """;

    // The log itself says from where to where the caller was a member. The first part is found by the index on user_id, however long the log is.
    private const string FormerSyncSql = $"""
        with own as materialized (select room_id, seq, kind from entries where user_id = @UserId and kind in (@Joined, @Left)),
        ends as (select max(seq) as last_seq from own where room_id = @RoomId and kind = @Left),
        begins as (select max(seq) as joined_seq from own where room_id = @RoomId and kind = @Joined and seq < (select last_seq from ends)),
        me as (
            select ends.last_seq, case when r.first_seq > begins.joined_seq then r.first_seq else begins.joined_seq end as first_seq
            from ends cross join begins join rooms r on r.id = @RoomId
            where begins.joined_seq <= @AfterSeq
              and not exists (select 1 from room_members m where m.room_id = @RoomId and m.user_id = @UserId))
        select me.last_seq as head_seq, me.first_seq as floor_seq, e.*
        from me left join (
            select {EntryRow.Columns} from entries
            where room_id = @RoomId and seq > @AfterSeq and seq >= (select first_seq from me) and seq <= (select last_seq from me)
            order by seq limit @Limit) e on true
        order by e.seq
        """;

    private const string DeliverySql = $"select {EntryRow.Columns} from entries where room_id = @RoomId and seq > @AfterSeq order by seq limit @Limit";

    private const string HeadsSql = """
        select m.room_id, r.last_seq as head_seq, case when r.first_seq > m.joined_seq then r.first_seq else m.joined_seq end as floor_seq, m.delivered_seq
        from room_members m join rooms r on r.id = m.room_id
        where m.user_id = @UserId
        """;

    // The lock of the account's row comes first: a cursor cannot be stored by a request that began before the account turned it off.
    private string MarkDeliveredSql => $"""
        update room_members set delivered_seq = @Seq
        where room_id = @RoomId and user_id = @UserId and delivered_seq < @Seq
          and @Seq <= (select last_seq from rooms where id = @RoomId)
          and (select delivery_cursor from users where id = @UserId{(database.IsPostgres ? " for share" : "")})
        """;

    private const string ForgetDeliveredSql = "update room_members set delivered_seq = joined_seq where user_id = @UserId and delivered_seq <> joined_seq";

    private const string IsMemberSql = "select count(*) from room_members where room_id = @RoomId and user_id = @UserId";

    // SQLite has one writer, so its transaction is the lock.
    private const string PostgresLockSql = "select 1 from rooms where id = @RoomId for no key update";

    private const string BumpSql = "update rooms set last_seq = last_seq + @Count where id = @RoomId returning last_seq, time_to_live";

    private const string AppendSql = """
        insert into entries (
            room_id, seq, kind, created_at, expires_at, target_seq, user_id, role, settings, id, owner_proof, ciphertext, epoch, sender_id, generation,
            key_version)
        values (
            @RoomId, @Seq, @Kind, @CreatedAt, @ExpiresAt, @TargetSeq, @UserId, @Role, @Settings, @Id, @OwnerProof, @Ciphertext, @Epoch, @SenderId, @Generation,
            @KeyVersion)
        """;

    private string AppendRosterSql => $"""
        insert into entries (room_id, seq, kind, created_at, expires_at, user_id, role, key_version)
        select @RoomId, @FirstSeq + nth, @Kind, @CreatedAt, @ExpiresAt, id, number, @KeyVersion from {database.RowsOf("Changes")}
        """;

    private const string EntryProofSql = """
        select e.id, e.owner_proof, e.key_version, e.kind from entries e
        join room_members m on m.room_id = e.room_id and m.user_id = @UserId and m.joined_seq <= e.seq
        where e.room_id = @RoomId and e.seq = @Seq
        """;

    private const string RedactSql = """
        update entries set kind = @Gone, created_at = null, ciphertext = null, sender_id = null, expires_at = @ForgetAt
        where room_id = @RoomId and seq = @Seq
        """;

    private const string RetractionSql = "select seq, created_at from entries where room_id = @RoomId and target_seq = @Seq";

    public async Task<LogPage> SyncAsync(Caller caller, Guid roomId, long afterSeq, int limit, CancellationToken cancellationToken) =>
        await FindPageAsync(SyncSql, caller, roomId, (afterSeq, limit), cancellationToken) ?? throw ApiException.NotFound();

    /// <summary>
    /// Reads as <see cref="SyncAsync"/>. A caller who is no longer a member reads on up to the entry of the own leaving, from a place of that membership. So a
    /// client that was offline then sees the Commit that has removed it.
    /// </summary>
    public async Task<LogPage> SyncToLeavingAsync(Caller caller, Guid roomId, long afterSeq, int limit, CancellationToken cancellationToken) =>
        await FindPageAsync(SyncSql, caller, roomId, (afterSeq, limit), cancellationToken)
        ?? await FindPageAsync(FormerSyncSql, caller, roomId, (afterSeq, limit), cancellationToken)
        ?? throw ApiException.NotFound();

    private Task<LogPage?> FindPageAsync(string sql, Caller caller, Guid roomId, (long AfterSeq, int Limit) range, CancellationToken cancellationToken)
    {
        Positions.Require("afterSeq", range.AfterSeq);
        RequireLimit(range.Limit);
        return database.ReadAsync(
            async connection =>
            {
                var parameters = new
                {
                    RoomId = roomId,
                    caller.UserId,
                    range.AfterSeq,
                    Limit = Math.Min(range.Limit, limits.PageEntries),
                    Joined = (int)EntryKind.MemberJoined,
                    Left = (int)EntryKind.MemberLeft,
                };
                var page = new PageBuilder(limits, time.Now());
                await using var reader = await connection.ExecuteReaderAsync(sql, parameters, cancellationToken);
                var parseHead = reader.GetRowParser<SyncRow>(length: 2);
                var parseEntry = reader.GetRowParser<EntryRow>(startIndex: 2);
                SyncRow? head = null;
                while (await reader.ReadAsync(cancellationToken))
                {
                    head ??= parseHead(reader);
                    // A caller without entries to read gets one row whose entry is null.
                    if (parseEntry(reader) is not { Seq: not null } entry || !page.TryAdd(entry))
                        break;
                }

                return head is null ? null : new LogPage(roomId, [.. page.Entries], head.HeadSeq, head.FloorSeq);
            },
            cancellationToken);
    }

    public static void RequireLimit(int limit)
    {
        if (limit < 1)
            throw ApiException.Invalid("limit must be at least 1.", "limit");
    }

    /// <summary>Reads for room delivery, which itself decides who sees which entry.</summary>
    public Task<List<LogEntry>> ReadForDeliveryAsync(Guid roomId, long afterSeq, CancellationToken cancellationToken) => database.ReadAsync(
        async connection =>
        {
            var parameters = new { RoomId = roomId, AfterSeq = afterSeq, Limit = limits.PageEntries };
            var page = new PageBuilder(limits, time.Now());
            await using var reader = await connection.ExecuteReaderAsync(DeliverySql, parameters, cancellationToken);
            var parse = reader.GetRowParser<EntryRow>();
            while (await reader.ReadAsync(cancellationToken) && page.TryAdd(parse(reader)))
            {
            }

            return page.Entries;
        },
        cancellationToken);

    public async Task<RoomHead[]> HeadsAsync(Caller caller, CancellationToken cancellationToken)
    {
        var rows = await database.ReadAsync(
            connection => connection.QueryAsync<HeadRow>(HeadsSql, new { caller.UserId }, cancellationToken), cancellationToken);
        return [.. rows.Select(row =>
            new RoomHead(row.RoomId, row.HeadSeq, row.FloorSeq, row.DeliveredSeq, Unread(row.HeadSeq, row.FloorSeq, row.DeliveredSeq)))];
    }

    public static long Unread(long headSeq, long floorSeq, long deliveredSeq) => Math.Max(0, headSeq - Math.Max(deliveredSeq, floorSeq - 1));

    /// <summary>Moves the caller's cursor forward. Changes nothing for an account that has turned the cursor off.</summary>
    public async Task MarkDeliveredAsync(Caller caller, Guid roomId, long seq, CancellationToken cancellationToken)
    {
        Positions.Require("seq", seq);
        await database.WriteAsync(
            async transaction =>
            {
                var parameters = new { RoomId = roomId, caller.UserId, Seq = seq };
                if (await transaction.ExecuteAsync(MarkDeliveredSql, parameters, cancellationToken) == 0
                    && await transaction.QuerySingleAsync<int>(IsMemberSql, parameters, cancellationToken) == 0)
                    throw ApiException.NotFound();
            },
            cancellationToken);
    }

    /// <summary>Sets the cursors of an account back to where it joined its rooms: they say nothing that the memberships do not say.</summary>
    public static Task ForgetDeliveredAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(ForgetDeliveredSql, new { UserId = userId }, cancellationToken);

    public async Task RequireMemberAsync(Caller caller, Guid roomId, CancellationToken cancellationToken)
    {
        var parameters = new { RoomId = roomId, caller.UserId };
        if (await database.ReadAsync(connection => connection.QuerySingleAsync<int>(IsMemberSql, parameters, cancellationToken), cancellationToken) == 0)
            throw ApiException.NotFound();
    }

    /// <summary>What proves who sent an entry. Null: there is no such entry, or the caller may not read it.</summary>
    public static Task<ProofRow?> FindProofAsync(DbTransaction transaction, Caller caller, Guid roomId, long seq, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<ProofRow>(EntryProofSql, new { RoomId = roomId, caller.UserId, Seq = seq }, cancellationToken);

    /// <summary>The retraction of an entry. Null: its content was not redacted, or the retraction has expired.</summary>
    public static Task<RetractionRow?> FindRetractionAsync(DbTransaction transaction, Guid roomId, long seq, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<RetractionRow>(RetractionSql, new { RoomId = roomId, Seq = seq }, cancellationToken);

    /// <summary>Deletes the content of an entry, and appends a retraction for the members that already have it.</summary>
    public async Task<LogEntry> RedactAsync(DbTransaction transaction, Guid roomId, long seq, CancellationToken cancellationToken)
    {
        await transaction.ExecuteAsync(
            RedactSql,
            new { RoomId = roomId, Seq = seq, Gone = (int)EntryKind.Gone, ForgetAt = ForgetAt(time.Now()) },
            cancellationToken);
        return await AppendAsync(transaction, roomId, new(0, EntryKind.Retraction, default, TargetSeq: seq), cancellationToken);
    }

    /// <summary>
    /// Appends an entry that is not an envelope inside the caller's transaction, and assigns seq and time. The caller publishes it through
    /// <see cref="CommitFeed"/> after the commit.
    /// </summary>
    /// <remarks>
    /// In a room with a time to live the entry stays one day longer than envelopes, so that a node that delivers late still sees who left. Handshakes
    /// stay for at least <see cref="MessagesOptions.HandshakeTimeToLive"/>.
    /// </remarks>
    public async Task<LogEntry> AppendAsync(DbTransaction transaction, Guid roomId, LogEntry entry, CancellationToken cancellationToken, byte[]? proof = null)
    {
        var now = time.Now();
        var room = await transaction.QuerySingleAsync<BumpRow>(BumpSql, new { RoomId = roomId, Count = 1 }, cancellationToken) ?? throw ApiException.NotFound();
        var stored = entry with { Seq = room.LastSeq, CreatedAt = now.ToMinute(), ExpiresAt = Expiry(now, entry.Kind, room.TimeToLive) };
        await transaction.ExecuteAsync(
            AppendSql,
            new
            {
                RoomId = roomId,
                stored.Seq,
                Kind = (int)stored.Kind,
                stored.CreatedAt,
                stored.ExpiresAt,
                stored.TargetSeq,
                stored.UserId,
                Role = (int?)stored.Role,
                Settings = stored.Settings is null ? null : JsonSerializer.SerializeToUtf8Bytes(stored.Settings, Wire.Json),
                stored.Id,
                OwnerProof = proof,
                stored.Ciphertext,
                stored.Epoch,
                stored.SenderId,
                stored.Generation,
                ownerProof.KeyVersion,
            },
            cancellationToken);
        return stored;
    }

    /// <summary>Appends an entry for each of these members in one statement, as <see cref="AppendAsync"/> does for one entry.</summary>
    public async Task<LogEntry[]> AppendRosterAsync(
        DbTransaction transaction, Guid roomId, EntryKind kind, IReadOnlyList<(Guid? UserId, RoomRole? Role)> changes, CancellationToken cancellationToken)
    {
        if (changes.Count == 0)
            return [];
        var now = time.Now();
        var room = await transaction.QuerySingleAsync<BumpRow>(BumpSql, new { RoomId = roomId, changes.Count }, cancellationToken)
            ?? throw ApiException.NotFound();
        var (firstSeq, createdAt, expiresAt) = (room.LastSeq - changes.Count + 1, now.ToMinute(), Expiry(now, kind, room.TimeToLive));
        await transaction.ExecuteAsync(
            AppendRosterSql,
            new
            {
                RoomId = roomId,
                FirstSeq = firstSeq,
                Kind = (int)kind,
                CreatedAt = createdAt,
                ExpiresAt = expiresAt,
                ownerProof.KeyVersion,
                Changes = Database.RowList(changes.Select(change => (change.UserId, (int?)change.Role))),
            },
            cancellationToken);
        return [.. changes.Select((change, i) =>
            new LogEntry(firstSeq + i, kind, createdAt, UserId: change.UserId, Role: change.Role, ExpiresAt: expiresAt))];
    }

    /// <summary>Serialises all changes of a room. Later statements of the transaction see what earlier lock holders committed.</summary>
    public Task LockRoomAsync(DbTransaction transaction, Guid roomId, CancellationToken cancellationToken) =>
        database.IsPostgres ? transaction.ExecuteAsync(PostgresLockSql, new { RoomId = roomId }, cancellationToken) : Task.CompletedTask;

    /// <summary>The earlier of the two times to live, rounded up to whole minutes: the expiry does not reveal the second of sending.</summary>
    public static DateTime? Expiry(DateTime now, int? own, int? room)
    {
        var seconds = own is null || room < own ? room : own;
        return seconds is null ? null : now.AddSeconds(seconds.Value).AddTicks(TimeSpan.TicksPerMinute - 1).ToMinute();
    }

    private DateTime? Expiry(DateTime now, EntryKind kind, int? room)
    {
        var expiry = Expiry(now, null, room)?.Add(RepeatWindow);
        var least = kind is EntryKind.Commit or EntryKind.Proposal or EntryKind.GroupReset
            ? Expiry(now, (int)options.Value.HandshakeTimeToLive.TotalSeconds, null)
            : null;
        return expiry < least ? least : expiry;
    }

    private sealed record SyncRow
    {
        public long HeadSeq { get; init; }
        public long FloorSeq { get; init; }
    }

    private sealed record HeadRow
    {
        public Guid RoomId { get; init; }
        public long HeadSeq { get; init; }
        public long FloorSeq { get; init; }
        public long DeliveredSeq { get; init; }
    }

    private sealed record BumpRow
    {
        public long LastSeq { get; init; }
        public int? TimeToLive { get; init; }
    }
}
