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
        join room_members m on m.room_id = r.id and m.user_id = ?2
        left join entries e on e.room_id = r.id and e.id = ?3
        where r.id = ?1
        """;

    private static readonly string InsertSql = $"""
        insert into entries (room_id, seq, kind, created_at, expires_at, id, owner_proof, ciphertext, epoch, sender_id, key_version)
        values (?1, ?2, {(int)EntryKind.Message}, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
        """;

    private const string BumpSql = "update rooms set last_seq = ?2 where id = ?1";

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

        var heads = new Dictionary<Guid, long>();
        var outcomes = new AppendOutcome[batch.Count];
        for (var i = 0; i < outcomes.Length; i++)
        {
            var outcome = outcomes[i] = Check(statements.Check, batch[i], heads, now);
            if (outcome.Status != AppendStatus.Stored)
                continue;
            heads[batch[i].RoomId] = outcome.Seq;
            Insert(statements.Insert, batch[i], outcome);
        }

        foreach (var (roomId, seq) in heads)
        {
            using var bump = statements.Bump.Use();
            bump.Bind(1, roomId);
            bump.Bind(2, seq);
            bump.Step();
        }

        return outcomes;
    }

    public void Dispose() => statements?.Dispose();

    private AppendOutcome Check(SqliteStatement statement, Envelope envelope, Dictionary<Guid, long> heads, DateTime now)
    {
        using var row = statement.Use();
        row.Bind(1, envelope.RoomId);
        row.Bind(2, envelope.UserId);
        row.Bind(3, envelope.Id);
        if (!row.Step())
            return new AppendOutcome { Status = AppendStatus.NotMember };
        if (!row.IsNull(6))
        {
            var same = ownerProof.IsSameSender(envelope, row.IsNull(8) ? null : row.Bytes(8).ToArray(), (int)row.Integer(10))
                && (row.IsNull(9) || row.Bytes(9).SequenceEqual(envelope.Ciphertext));
            return new AppendOutcome
            {
                Status = same ? AppendStatus.Duplicate : AppendStatus.IdTaken,
                Seq = row.Integer(6),
                CreatedAt = row.IsNull(7) ? EntryRow.NoTime : DateTimeOffset.FromUnixTimeSeconds(row.Integer(7)).UtcDateTime,
            };
        }

        var (epoch, visible) = (row.Integer(1), row.Integer(2) != 0);
        if (row.Integer(4) != 0 && envelope.Generation != row.Integer(5))
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
            Seq = heads.GetValueOrDefault(envelope.RoomId, row.Integer(0)) + 1,
            CreatedAt = now.ToMinute(),
            ExpiresAt = LogStore.Expiry(now, envelope.TimeToLive, row.IsNull(3) ? null : (int)row.Integer(3)),
            RoomEpoch = epoch,
            Visible = visible,
        };
    }

    private void Insert(SqliteStatement statement, Envelope envelope, AppendOutcome outcome)
    {
        using var row = statement.Use();
        row.Bind(1, envelope.RoomId);
        row.Bind(2, outcome.Seq);
        row.Bind(3, Seconds(outcome.CreatedAt));
        if (outcome.ExpiresAt is { } expiry)
            row.Bind(4, Seconds(expiry));
        row.Bind(5, envelope.Id);
        row.Bind(6, envelope.OwnerProof);
        row.Bind(7, envelope.Ciphertext);
        row.Bind(8, envelope.Epoch);
        if (outcome.Visible)
            row.Bind(9, envelope.UserId);
        row.Bind(10, ownerProof.KeyVersion);
        row.Step();
    }

    private static long Seconds(DateTime time) => new DateTimeOffset(time).ToUnixTimeSeconds();

    /// <summary>Prepared once per connection.</summary>
    private sealed class Statements(SqliteConnection connection) : IDisposable
    {
        public SqliteConnection Connection => connection;

        public SqliteStatement Check { get; } = new(connection, CheckSql);

        public SqliteStatement Insert { get; } = new(connection, InsertSql);

        public SqliteStatement Bump { get; } = new(connection, BumpSql);

        public void Dispose()
        {
            Check.Dispose();
            Insert.Dispose();
            Bump.Dispose();
        }
    }
}
