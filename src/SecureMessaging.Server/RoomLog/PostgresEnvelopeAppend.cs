using System.Buffers;
using Npgsql;
using NpgsqlTypes;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;

namespace SecureMessaging.Server.RoomLog;

/// <summary>Appends a whole batch in one statement, which is its own transaction.</summary>
/// <remarks>
/// 1. Lock the rooms, and then the memberships. A locked row is read in its current version, not in that of the statement's start: a removed member's send is
/// rejected, and no seq is given twice. Rooms that another transaction has locked are skipped, so that no room waits for another.
/// 2. Check each envelope, number those to store, raise the rooms' last_seq and insert.
///
/// An id that is stored already violates the unique index and rolls the statement back; the retry looks for earlier attempts. Retries come in bursts
/// (a lost connection, a killed node), so all batches look for one minute after a violation. Other batches do not pay for the look-up, and a client
/// that repeats ids cannot cause many rollbacks.
///
/// One statement instead of a lock and an insert: Npgsql continues every later statement on the thread pool, behind the work that a busy node has
/// queued. A batch of one envelope, by far the most common, has a statement without arrays: it starts in two thirds of the time.
///
/// Each envelope is looked up by index, one after the other: the lateral joins leave the planner no other way, and the session
/// (<see cref="PostgresDatabase"/>) keeps one plan that has no full scan. A plan from the time when the log was small would scan the whole log until
/// the next analyze, and planning again takes longer than appending an envelope.
/// </remarks>
internal sealed class PostgresEnvelopeAppend(Database database, OwnerProof ownerProof) : IEnvelopeAppend
{
    private const int MaxAttempts = 4;
    private static readonly TimeSpan Burst = TimeSpan.FromMinutes(1);

    private static readonly string CheckSql = $"""
            r.last_seq, r.epoch as room_epoch, r.visible, r.time_to_live, e.seq as old_seq, e.created_at as old_created_at,
            e.owner_proof as old_proof, e.key_version as old_key_version,
            case when r.id is null and (select true from rooms where id = i.room_id limit 1) then {(int)AppendStatus.RoomLocked}
                 when m.user_id is null then {(int)AppendStatus.NotMember}
                 when e.seq is not null then case
                     when e.ciphertext is null or e.ciphertext = i.ciphertext then {(int)AppendStatus.Duplicate}
                     else {(int)AppendStatus.IdTaken} end
                 when r.scheme = '{Schemes.Mls10}' and i.generation = {Envelope.NoGeneration} then {(int)AppendStatus.NotMls}
                 when r.scheme = '{Schemes.Mls10}' and i.generation <> r.generation then {(int)AppendStatus.EpochTooOld}
                 when i.epoch > r.epoch then {(int)AppendStatus.EpochAhead}
                 when i.epoch < r.epoch - {IEnvelopeAppend.PastEpochs} then {(int)AppendStatus.EpochTooOld}
                 else {(int)AppendStatus.Stored} end as status
        """;

    // An envelope whose epoch would be rejected is always looked up: the room may have advanced after an earlier attempt was stored.
    private static readonly string LookUpSql = $"""
            left join lateral (select user_id from room_members where room_id = r.id and user_id = i.user_id for key share) m on true
            left join lateral (
                select * from entries
                where ($11 or i.epoch > r.epoch or i.epoch < r.epoch - {IEnvelopeAppend.PastEpochs}
                        or (r.scheme = '{Schemes.Mls10}' and i.generation <> r.generation))
                    and room_id = r.id and id = i.id limit 1) e on true
        """;

    private const string ResultSql = """
        ord, status, coalesce(last_seq, 0), coalesce(room_epoch, 0), coalesce(visible, false), time_to_live, coalesce(old_seq, 0), old_created_at, old_proof,
            old_key_version
        """;

    private readonly string oneSql = $"""
        with checked as materialized (
            select 1 as ord,
        {CheckSql}
            from (select $1 as room_id, $2 as user_id, $3 as id, $4 as owner_proof, $5 as ciphertext, $6 as epoch, $8 as generation) i
            left join lateral (select * from rooms where id = $1 for no key update skip locked) r on true
        {LookUpSql}),
        bumped as (update rooms r set last_seq = c.last_seq + 1 from checked c where r.id = $1 and c.status = {(int)AppendStatus.Stored}),
        inserted as (
            insert into entries (room_id, seq, kind, created_at, expires_at, id, owner_proof, ciphertext, epoch, sender_id, key_version)
            select $1, last_seq + 1, {(int)EntryKind.Message}, $10, {ExpirySql("$7")}, $3, $4, $5, $6, case when visible then $2 end, {ownerProof.KeyVersion}
            from checked where status = {(int)AppendStatus.Stored})
        select {ResultSql} from checked
        """;

    private const string CiphertextSql = "substring($5, ($14)[ord], ($14)[ord + 1] - ($14)[ord])";
    private static readonly string OwnerProofSql = $"substring($4, {OwnerProof.Length} * (ord - 1) + 1, {OwnerProof.Length})";

    // Materialised parts copy their columns, so they hold only what decides; the final insert takes the rest from the parameters. Bytes come as one
    // value per column: to find an element of a bytea array, Postgres walks all elements before it.
    private readonly string manySql = $"""
        with room as materialized (
            select r.* from unnest($1) as i (id) cross join lateral (select * from rooms where id = i.id for no key update skip locked) r),
        checked as materialized (
            select i.ord, i.nth, r.id as room_id,
        {CheckSql}
            from (
                select ord, ($1)[($12)[ord]] as room_id, ($13)[ord] as nth, ($2)[ord] as user_id, ($3)[ord] as id, {OwnerProofSql} as owner_proof,
                    {CiphertextSql} as ciphertext, ($6)[ord] as epoch, ($8)[ord] as generation
                from generate_series(1, cardinality($3)) as i (ord)) i
            left join room r on r.id = i.room_id
        {LookUpSql}),
        refused as materialized (select ord, room_id from checked where status <> {(int)AppendStatus.Stored}),
        bumped as (
            update rooms r set last_seq = c.last_seq + c.stored
            from (
                select room_id, last_seq, count(*) as stored from checked where status = {(int)AppendStatus.Stored} group by room_id, last_seq) c
            where r.id = c.room_id),
        inserted as (
            insert into entries (room_id, seq, kind, created_at, expires_at, id, owner_proof, ciphertext, epoch, sender_id, key_version)
            select room_id, last_seq + nth - (select count(*) from refused r where r.room_id = c.room_id and r.ord < c.ord), {(int)EntryKind.Message}, $10,
                {ExpirySql("($7)[ord]")}, ($3)[ord], {OwnerProofSql}, {CiphertextSql}, ($6)[ord], case when visible then ($2)[ord] end, {ownerProof.KeyVersion}
            from checked c where status = {(int)AppendStatus.Stored})
        select {ResultSql} from checked where nth = 1 or status <> {(int)AppendStatus.Stored}
        """;

    private long lookUntil;

    public bool IsDefinite(Exception exception) => database.IsRefusalOfValues(exception);

    public AppendOutcome[] Append(IReadOnlyList<Envelope> batch, DateTime now)
    {
        // Truncated to microseconds, the precision of Postgres, so that server and database compute the same expiry.
        now = new DateTime(now.Ticks - (now.Ticks % TimeSpan.TicksPerMicrosecond), DateTimeKind.Utc);
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var look = now.Ticks < lookUntil;
                return database.Run(connection => Append((NpgsqlConnection)connection, batch, now, look));
            }
            catch (PostgresException exception) when (
                attempt < MaxAttempts && exception is { SqlState: PostgresErrorCodes.UniqueViolation, ConstraintName: "entries_id" })
            {
                lookUntil = now.Add(Burst).Ticks;
            }
        }
    }

    private AppendOutcome[] Append(NpgsqlConnection connection, IReadOnlyList<Envelope> batch, DateTime now, bool look)
    {
        using var command = new NpgsqlCommand(batch.Count == 1 ? oneSql : manySql, connection);
        int[]? roomOf = null;
        using var ciphertexts = batch.Count == 1 ? null : MemoryPool<byte>.Shared.Rent(batch.Sum(envelope => envelope.Ciphertext.Length));
        if (ciphertexts is null)
            AddOne(command.Parameters, batch[0], now, look);
        else
            roomOf = AddMany(command.Parameters, batch, ciphertexts.Memory, now, look);
        var outcomes = new AppendOutcome[batch.Count];
        var rooms = new Room[batch.Count];
        using (var reader = command.ExecuteReader())
        {
            // A row comes for the first envelope of each room and for each envelope that was not stored.
            while (reader.Read())
            {
                var i = reader.GetInt32(0) - 1;
                var room = rooms[roomOf?[i] - 1 ?? 0] = new Room(
                    reader.GetInt64(2), reader.GetInt64(3), reader.GetBoolean(4), reader.IsDBNull(5) ? null : reader.GetInt32(5));
                var status = (AppendStatus)reader.GetInt32(1);
                // Only the key of the stored proof tells whether the sender is the same.
                if (status == AppendStatus.Duplicate
                    && !ownerProof.IsSameSender(batch[i], reader.IsDBNull(8) ? null : reader.GetFieldValue<byte[]>(8), reader.GetInt16(9)))
                    status = AppendStatus.IdTaken;
                outcomes[i] = new AppendOutcome
                {
                    Status = status,
                    Seq = reader.GetInt64(6),
                    CreatedAt = reader.IsDBNull(7) ? EntryRow.NoTime : reader.GetDateTime(7),
                    RoomEpoch = room.Epoch,
                    Visible = room.Visible,
                };
            }
        }

        for (var i = 0; i < outcomes.Length; i++)
        {
            if (outcomes[i].Status != AppendStatus.Stored)
                continue;
            ref var room = ref rooms[roomOf?[i] - 1 ?? 0];
            outcomes[i] = new AppendOutcome
            {
                Status = AppendStatus.Stored,
                Seq = ++room.LastSeq,
                CreatedAt = now.ToMinute(),
                ExpiresAt = LogStore.Expiry(now, batch[i].TimeToLive, room.TimeToLive),
                RoomEpoch = room.Epoch,
                Visible = room.Visible,
            };
        }

        return outcomes;
    }

    private static string ExpirySql(string timeToLive) => $"""
        case when least({timeToLive}, time_to_live) is not null then
            date_trunc('minute', $9 + make_interval(secs => least({timeToLive}, time_to_live)) + interval '59.999999 seconds') end
        """;

    private static void AddOne(NpgsqlParameterCollection parameters, Envelope envelope, DateTime now, bool look)
    {
        Add(parameters, NpgsqlDbType.Uuid, envelope.RoomId);
        Add(parameters, NpgsqlDbType.Uuid, envelope.UserId);
        Add(parameters, NpgsqlDbType.Uuid, envelope.Id);
        Add(parameters, NpgsqlDbType.Bytea, envelope.OwnerProof);
        Add(parameters, NpgsqlDbType.Bytea, envelope.Ciphertext);
        Add(parameters, NpgsqlDbType.Bigint, envelope.Epoch);
        Add(parameters, NpgsqlDbType.Integer, envelope.TimeToLive);
        Add(parameters, NpgsqlDbType.Integer, envelope.Generation);
        Add(parameters, NpgsqlDbType.TimestampTz, now);
        Add(parameters, NpgsqlDbType.TimestampTz, now.ToMinute());
        Add(parameters, NpgsqlDbType.Boolean, look);
    }

    /// <summary>Adds one array per column, and one value per column of bytes. Returns the number of each envelope's room, from 1.</summary>
    private static int[] AddMany(NpgsqlParameterCollection parameters, IReadOnlyList<Envelope> batch, Memory<byte> ciphertexts, DateTime now, bool look)
    {
        var (roomOf, nth) = (new int[batch.Count], new int[batch.Count]);
        var (rooms, counts) = (new Dictionary<Guid, int>(batch.Count), new int[batch.Count]);
        var ownerProofs = new byte[batch.Count * OwnerProof.Length];
        var starts = new int[batch.Count + 1];
        starts[0] = 1;
        for (var i = 0; i < roomOf.Length; i++)
        {
            if (!rooms.TryGetValue(batch[i].RoomId, out roomOf[i]))
                rooms.Add(batch[i].RoomId, roomOf[i] = rooms.Count + 1);
            nth[i] = ++counts[roomOf[i] - 1];
            batch[i].OwnerProof.CopyTo(ownerProofs, i * OwnerProof.Length);
            batch[i].Ciphertext.CopyTo(ciphertexts[(starts[i] - 1)..]);
            starts[i + 1] = starts[i] + batch[i].Ciphertext.Length;
        }

        Add<Guid[]>(parameters, NpgsqlDbType.Array | NpgsqlDbType.Uuid, [.. rooms.Keys]);
        AddColumn(NpgsqlDbType.Uuid, static envelope => envelope.UserId);
        AddColumn(NpgsqlDbType.Uuid, static envelope => envelope.Id);
        Add(parameters, NpgsqlDbType.Bytea, ownerProofs);
        Add<ReadOnlyMemory<byte>>(parameters, NpgsqlDbType.Bytea, ciphertexts[..(starts[^1] - 1)]);
        AddColumn(NpgsqlDbType.Bigint, static envelope => envelope.Epoch);
        AddColumn(NpgsqlDbType.Integer, static envelope => envelope.TimeToLive);
        AddColumn(NpgsqlDbType.Integer, static envelope => envelope.Generation);
        Add(parameters, NpgsqlDbType.TimestampTz, now);
        Add(parameters, NpgsqlDbType.TimestampTz, now.ToMinute());
        Add(parameters, NpgsqlDbType.Boolean, look);
        Add(parameters, NpgsqlDbType.Array | NpgsqlDbType.Integer, roomOf);
        Add(parameters, NpgsqlDbType.Array | NpgsqlDbType.Integer, nth);
        Add(parameters, NpgsqlDbType.Array | NpgsqlDbType.Integer, starts);
        return roomOf;

        void AddColumn<T>(NpgsqlDbType type, Func<Envelope, T> column)
        {
            var values = new T[batch.Count];
            for (var i = 0; i < values.Length; i++)
                values[i] = column(batch[i]);
            Add(parameters, NpgsqlDbType.Array | type, values);
        }
    }

    private static void Add<T>(NpgsqlParameterCollection parameters, NpgsqlDbType type, T value) =>
        parameters.Add(new NpgsqlParameter<T> { NpgsqlDbType = type, TypedValue = value });

    private record struct Room(long LastSeq, long Epoch, bool Visible, int? TimeToLive);
}
