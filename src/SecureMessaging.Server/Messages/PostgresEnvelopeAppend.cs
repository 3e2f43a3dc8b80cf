using System.Data;
using System.Data.Common;
using Dapper;
using Npgsql;
using NpgsqlTypes;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Messages;

/// <summary>A whole batch in one round trip.</summary>
/// <remarks>
/// 1. Lock the rooms in the order of their ids, so that two nodes cannot deadlock.
/// 2. In a second statement, whose snapshot is taken after the locks are held, check and insert everything. In one statement the checks
///    would see memberships as they were before waiting for the lock, and a removed member's send would slip in.
/// Both travel together and form one implicit transaction, commit included. A room that came to be between the two is not locked and may be gone again: only what
/// could be bumped is inserted.
///
/// Each envelope is looked up by index, one after the other: the lateral joins and their limits leave the planner no other way, and the session
/// (<see cref="PostgresDatabase"/>) keeps one plan that reads no table through. A plan made while the log was small would go on reading all of it until the next
/// analyze, and making one anew takes longer than appending an envelope.
/// </remarks>
internal sealed class PostgresEnvelopeAppend(Database database) : IEnvelopeAppend
{
    private static readonly string Sql = $"""
        select r.id from (select id from unnest(@LockIds) as i (id) order by id) i
        cross join lateral (select id from rooms where id = i.id for no key update) r;
        with checked as materialized (
            select i.*, r.last_seq, coalesce(r.epoch, 0) as room_epoch, coalesce(r.visible, false) as visible, e.seq as old_seq, e.created_at as old_created_at,
                case when least(i.ttl, r.time_to_live) is not null then
                    date_trunc('minute', @Now + make_interval(secs => least(i.ttl, r.time_to_live)) + interval '59.999999 seconds') end as expires_at,
                case when m.user_id is null then {(int)AppendStatus.NotMember}
                     when e.seq is not null then case
                         when e.owner_proof = i.owner_proof and (e.ciphertext is null or e.ciphertext = i.ciphertext) then {(int)AppendStatus.Duplicate}
                         else {(int)AppendStatus.IdTaken} end
                     when r.scheme = '{Schemes.Mls10}' and i.generation = {Envelope.NoGeneration} then {(int)AppendStatus.NotMls}
                     when r.scheme = '{Schemes.Mls10}' and i.generation <> r.generation then {(int)AppendStatus.EpochTooOld}
                     when i.epoch > r.epoch then {(int)AppendStatus.EpochAhead}
                     when i.epoch < r.epoch - {IEnvelopeAppend.PastEpochs} then {(int)AppendStatus.EpochTooOld}
                     else {(int)AppendStatus.Stored} end as status
            from unnest(@RoomIds, @UserIds, @Ids, @Proofs, @Ciphertexts, @Epochs, @TimesToLive, @Generations)
                with ordinality as i (room_id, user_id, id, owner_proof, ciphertext, epoch, ttl, generation, ord)
            left join lateral (select * from rooms where id = i.room_id limit 1) r on true
            left join lateral (select user_id from room_members where room_id = i.room_id and user_id = i.user_id limit 1) m on true
            left join lateral (select * from entries where room_id = i.room_id and id = i.id limit 1) e on true),
        numbered as materialized (
            select *, case when status = {(int)AppendStatus.Stored}
                then last_seq + count(*) filter (where status = {(int)AppendStatus.Stored}) over (partition by room_id order by ord) end as seq
            from checked),
        bumped as (
            update rooms r set last_seq = n.last_seq from (select room_id, max(seq) as last_seq from numbered where seq is not null group by room_id) n
            where r.id = n.room_id returning r.id),
        inserted as (
            insert into entries (room_id, seq, kind, created_at, expires_at, id, owner_proof, ciphertext, epoch, sender_id)
            select room_id, seq, {(int)EntryKind.Message}, @CreatedAt, expires_at, id, owner_proof, ciphertext, epoch, case when visible then user_id end
            from numbered where seq is not null and room_id in (select id from bumped))
        select ord, case when seq is not null and room_id not in (select id from bumped) then {(int)AppendStatus.NotMember} else status end,
            coalesce(seq, old_seq, 0) as seq, coalesce(old_created_at, @CreatedAt) as created_at, expires_at, room_epoch, visible
        from numbered
        """;

    /// <remarks>So that the node delivers one batch while the other is being committed.</remarks>
    public int Writers => PostgresDatabase.Threads;

    public AppendOutcome[] Append(IReadOnlyList<Envelope> batch, DateTime now) => database.Run(connection =>
    {
        using var reader = (DbDataReader)connection.ExecuteReader(Sql, new BatchParameters(batch, now), commandTimeout: Database.CommandTimeoutSeconds);
        // Past the locked rooms. A failure of either statement surfaces in the reading.
        reader.NextResult();
        var outcomes = new AppendOutcome[batch.Count];
        while (reader.Read())
        {
            // Read by type: a mapper would box every field of every row.
            outcomes[reader.GetInt64(0) - 1] = new AppendOutcome
            {
                Status = (AppendStatus)reader.GetInt32(1),
                Seq = reader.GetInt64(2),
                CreatedAt = reader.GetDateTime(3),
                ExpiresAt = reader.IsDBNull(4) ? null : reader.GetDateTime(4),
                RoomEpoch = reader.GetInt64(5),
                Visible = reader.GetBoolean(6),
            };
        }

        reader.NextResult();
        return outcomes;
    });

    /// <summary>The batch as one array a column.</summary>
    private sealed class BatchParameters(IReadOnlyList<Envelope> batch, DateTime now) : SqlMapper.IDynamicParameters
    {
        public void AddParameters(IDbCommand command, SqlMapper.Identity identity)
        {
            var parameters = ((NpgsqlCommand)command).Parameters;
            void Add<T>(string name, NpgsqlDbType type, Func<Envelope, T> column) =>
                parameters.Add(new NpgsqlParameter<T[]>(name, NpgsqlDbType.Array | type) { TypedValue = [.. batch.Select(column)] });

            parameters.Add(new NpgsqlParameter<Guid[]>("LockIds", NpgsqlDbType.Array | NpgsqlDbType.Uuid) { TypedValue = [.. batch.Select(e => e.RoomId).Distinct()] });
            Add("RoomIds", NpgsqlDbType.Uuid, e => e.RoomId);
            Add("UserIds", NpgsqlDbType.Uuid, e => e.UserId);
            Add("Ids", NpgsqlDbType.Uuid, e => e.Id);
            Add("Proofs", NpgsqlDbType.Bytea, e => e.OwnerProof);
            Add("Ciphertexts", NpgsqlDbType.Bytea, e => e.Ciphertext);
            Add("Epochs", NpgsqlDbType.Bigint, e => e.Epoch);
            Add("TimesToLive", NpgsqlDbType.Integer, e => e.TimeToLive);
            Add("Generations", NpgsqlDbType.Integer, e => e.Generation);
            parameters.Add(new NpgsqlParameter<DateTime>("Now", NpgsqlDbType.TimestampTz) { TypedValue = now });
            parameters.Add(new NpgsqlParameter<DateTime>("CreatedAt", NpgsqlDbType.TimestampTz) { TypedValue = now.ToMinute() });
        }
    }
}
