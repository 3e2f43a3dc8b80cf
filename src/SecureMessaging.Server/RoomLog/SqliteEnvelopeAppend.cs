using Microsoft.Data.Sqlite;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;

namespace SecureMessaging.Server.RoomLog;

/// <summary>Appends a whole batch in one transaction of the only writer connection. Statements in a loop are cheap inside the process.</summary>
internal sealed class SqliteEnvelopeAppend(Database database, OwnerProof ownerProof) : IEnvelopeAppend, IDisposable
{
    private const string CheckSql = $"""
        select r.last_seq, r.epoch, r.visible, r.time_to_live, r.scheme = '{Schemes.Mls10}' as mls, r.generation,
            e.seq as old_seq, e.created_at as old_created_at,
            e.owner_proof as old_proof, e.ciphertext as old_ciphertext, e.key_version as old_key_version
        from rooms r
        join room_members m on m.room_id = r.id and m.user_id = @UserId
        left join entries e on e.room_id = r.id and e.id = @Id
        where r.id = @RoomId
        """;

    private const string InsertSql = """
        insert into entries (room_id, seq, kind, created_at, expires_at, id, owner_proof, ciphertext, epoch, sender_id, key_version)
        values (@RoomId, @Seq, @Kind, @CreatedAt, @ExpiresAt, @Id, @OwnerProof, @Ciphertext, @Epoch, @SenderId, @KeyVersion)
        """;

    private const string BumpSql = "update rooms set last_seq = @Seq where id = @RoomId";

    private Statements? statements;

    public bool IsDefinite(Exception exception) => database.IsRefusalOfValues(exception);

    public AppendOutcome[] Append(IReadOnlyList<Envelope> batch, DateTime now) =>
        database.WriteAsync(transaction => Task.FromResult(Append((SqliteTransaction)transaction, batch, now)), CancellationToken.None)
            .GetAwaiter().GetResult();

    private AppendOutcome[] Append(SqliteTransaction transaction, IReadOnlyList<Envelope> batch, DateTime now)
    {
        // The connection changes only after a failure.
        if (statements is null || statements.Connection != transaction.Connection)
        {
            statements?.Dispose();
            statements = new Statements(transaction.Connection!);
        }

        var (check, insert, bump) = statements.In(transaction);
        var heads = new Dictionary<Guid, long>();
        var outcomes = new AppendOutcome[batch.Count];
        for (var i = 0; i < outcomes.Length; i++)
        {
            var envelope = batch[i];
            var outcome = outcomes[i] = Check(check, envelope, heads, now);
            if (outcome.Status != AppendStatus.Stored)
                continue;
            heads[envelope.RoomId] = outcome.Seq;
            insert.Execute(
                Blob(envelope.RoomId), outcome.Seq, (long)EntryKind.Message, Seconds(outcome.CreatedAt),
                outcome.ExpiresAt is { } expiry ? Seconds(expiry) : DBNull.Value,
                Blob(envelope.Id), envelope.OwnerProof, envelope.Ciphertext, envelope.Epoch, outcome.Visible ? Blob(envelope.UserId) : DBNull.Value,
                ownerProof.KeyVersion);
        }

        foreach (var (roomId, seq) in heads)
            bump.Execute(seq, Blob(roomId));
        return outcomes;
    }

    public void Dispose() => statements?.Dispose();

    private AppendOutcome Check(Statement check, Envelope envelope, Dictionary<Guid, long> heads, DateTime now)
    {
        using var row = check.Query(Blob(envelope.UserId), Blob(envelope.RoomId), Blob(envelope.Id));
        if (!row.Read())
            return new AppendOutcome { Status = AppendStatus.NotMember };
        if (!row.IsDBNull(6))
        {
            var same = ownerProof.IsSameSender(envelope, row.IsDBNull(8) ? null : row.GetFieldValue<byte[]>(8), row.GetInt32(10))
                && (row.IsDBNull(9) || row.GetFieldValue<byte[]>(9).AsSpan().SequenceEqual(envelope.Ciphertext));
            return new AppendOutcome
            {
                Status = same ? AppendStatus.Duplicate : AppendStatus.IdTaken,
                Seq = row.GetInt64(6),
                CreatedAt = row.IsDBNull(7) ? EntryRow.NoTime : DateTimeOffset.FromUnixTimeSeconds(row.GetInt64(7)).UtcDateTime,
            };
        }

        var (epoch, visible) = (row.GetInt64(1), row.GetBoolean(2));
        if (row.GetBoolean(4) && envelope.Generation != row.GetInt32(5))
        {
            return envelope.Generation == Envelope.NoGeneration
                ? new AppendOutcome { Status = AppendStatus.NotMls }
                : new AppendOutcome { Status = AppendStatus.EpochTooOld, RoomEpoch = epoch };
        }

        if (envelope.Epoch > epoch || envelope.Epoch < epoch - IEnvelopeAppend.PastEpochs)
            return new AppendOutcome { Status = envelope.Epoch > epoch ? AppendStatus.EpochAhead : AppendStatus.EpochTooOld, RoomEpoch = epoch };
        return new AppendOutcome
        {
            Status = AppendStatus.Stored,
            Seq = heads.GetValueOrDefault(envelope.RoomId, row.GetInt64(0)) + 1,
            CreatedAt = now.ToMinute(),
            ExpiresAt = LogStore.Expiry(now, envelope.TimeToLive, row.IsDBNull(3) ? null : row.GetInt32(3)),
            RoomEpoch = epoch,
            Visible = visible,
        };
    }

    private static byte[] Blob(Guid id) => id.ToByteArray(bigEndian: true);

    private static long Seconds(DateTime time) => new DateTimeOffset(time).ToUnixTimeSeconds();

    /// <summary>Statements prepared once per connection.</summary>
    private sealed class Statements(SqliteConnection connection) : IDisposable
    {
        private readonly Statement check = new(connection, CheckSql, "@UserId", "@RoomId", "@Id");
        private readonly Statement insert = new(
            connection, InsertSql, "@RoomId", "@Seq", "@Kind", "@CreatedAt", "@ExpiresAt", "@Id", "@OwnerProof", "@Ciphertext", "@Epoch", "@SenderId",
            "@KeyVersion");

        private readonly Statement bump = new(connection, BumpSql, "@Seq", "@RoomId");

        public SqliteConnection Connection => connection;

        public (Statement Check, Statement Insert, Statement Bump) In(SqliteTransaction transaction) =>
            (check.In(transaction), insert.In(transaction), bump.In(transaction));

        public void Dispose()
        {
            check.Dispose();
            insert.Dispose();
            bump.Dispose();
        }
    }

    private sealed class Statement : IDisposable
    {
        private readonly SqliteCommand command;

        public Statement(SqliteConnection connection, string sql, params string[] parameters)
        {
            command = new SqliteCommand(sql, connection) { CommandTimeout = Database.CommandTimeoutSeconds };
            foreach (var name in parameters)
                command.Parameters.Add(new SqliteParameter { ParameterName = name });
        }

        public Statement In(SqliteTransaction transaction)
        {
            command.Transaction = transaction;
            return this;
        }

        public SqliteDataReader Query(params ReadOnlySpan<object> values)
        {
            Bind(values);
            return command.ExecuteReader();
        }

        public void Execute(params ReadOnlySpan<object> values)
        {
            Bind(values);
            command.ExecuteNonQuery();
        }

        public void Dispose() => command.Dispose();

        private void Bind(ReadOnlySpan<object> values)
        {
            for (var i = 0; i < values.Length; i++)
                command.Parameters[i].Value = values[i];
        }
    }
}
