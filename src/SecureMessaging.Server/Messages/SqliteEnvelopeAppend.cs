using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Messages;

/// <summary>A whole batch in one transaction of the one writer there is; statements in a loop cost little inside the process.</summary>
internal sealed class SqliteEnvelopeAppend(Database database) : IEnvelopeAppend
{
    private const string CheckSql = """
        select r.last_seq, r.epoch, r.visible, r.time_to_live, r.scheme, r.generation, e.seq as old_seq, e.created_at as old_created_at,
            e.owner_proof as old_proof, e.ciphertext as old_ciphertext
        from rooms r
        join room_members m on m.room_id = r.id and m.user_id = @UserId
        left join entries e on e.room_id = r.id and e.id = @Id
        where r.id = @RoomId
        """;

    private const string InsertSql = """
        insert into entries (room_id, seq, kind, created_at, expires_at, id, owner_proof, ciphertext, epoch, sender_id)
        values (@RoomId, @Seq, @Kind, @CreatedAt, @ExpiresAt, @Id, @OwnerProof, @Ciphertext, @Epoch, @SenderId)
        """;

    private const string BumpSql = "update rooms set last_seq = @Seq where id = @RoomId";

    public Task<AppendOutcome[]> AppendAsync(IReadOnlyList<Envelope> batch, DateTime now, CancellationToken cancellationToken) => database.WriteAsync(
        async transaction =>
        {
            var heads = new Dictionary<Guid, long>();
            var outcomes = new AppendOutcome[batch.Count];
            for (var i = 0; i < batch.Count; i++)
                outcomes[i] = await AppendOneAsync(transaction, batch[i], heads, now, cancellationToken);
            foreach (var (roomId, seq) in heads)
                await transaction.ExecuteAsync(BumpSql, new { RoomId = roomId, Seq = seq }, cancellationToken);
            return outcomes;
        },
        cancellationToken);

    private static async Task<AppendOutcome> AppendOneAsync(
        DbTransaction transaction, Envelope envelope, Dictionary<Guid, long> heads, DateTime now, CancellationToken cancellationToken)
    {
        var check = await transaction.QuerySingleAsync<CheckRow>(CheckSql, envelope, cancellationToken);
        if (check is null)
            return new AppendOutcome { Status = AppendStatus.NotMember };
        if (check.OldSeq is { } oldSeq)
        {
            var same = check.OldProof.AsSpan().SequenceEqual(envelope.OwnerProof)
                && (check.OldCiphertext is null || check.OldCiphertext.AsSpan().SequenceEqual(envelope.Ciphertext));
            return new AppendOutcome { Status = same ? AppendStatus.Duplicate : AppendStatus.IdTaken, Seq = oldSeq, CreatedAt = check.OldCreatedAt!.Value };
        }

        if (check.Scheme == Schemes.Mls10 && envelope.Generation != check.Generation)
        {
            return envelope.Generation == Envelope.NoGeneration
                ? new AppendOutcome { Status = AppendStatus.NotMls }
                : new AppendOutcome { Status = AppendStatus.EpochTooOld, RoomEpoch = check.Epoch };
        }

        if (envelope.Epoch > check.Epoch || envelope.Epoch < check.Epoch - IEnvelopeAppend.PastEpochs)
            return new AppendOutcome { Status = envelope.Epoch > check.Epoch ? AppendStatus.EpochAhead : AppendStatus.EpochTooOld, RoomEpoch = check.Epoch };

        var outcome = new AppendOutcome
        {
            Status = AppendStatus.Stored,
            Seq = heads.GetValueOrDefault(envelope.RoomId, check.LastSeq) + 1,
            CreatedAt = now.ToMinute(),
            ExpiresAt = LogStore.Expiry(now, envelope.TimeToLive, check.TimeToLive),
            RoomEpoch = check.Epoch,
            Visible = check.Visible,
        };
        await transaction.ExecuteAsync(
            InsertSql,
            new
            {
                envelope.RoomId,
                outcome.Seq,
                Kind = (int)EntryKind.Message,
                outcome.CreatedAt,
                outcome.ExpiresAt,
                envelope.Id,
                envelope.OwnerProof,
                envelope.Ciphertext,
                envelope.Epoch,
                SenderId = check.Visible ? envelope.UserId : (Guid?)null,
            },
            cancellationToken);
        heads[envelope.RoomId] = outcome.Seq;
        return outcome;
    }

    private sealed record CheckRow
    {
        public long LastSeq { get; init; }
        public long Epoch { get; init; }
        public bool Visible { get; init; }
        public int? TimeToLive { get; init; }
        public string Scheme { get; init; } = "";
        public int Generation { get; init; }
        public long? OldSeq { get; init; }
        public DateTime? OldCreatedAt { get; init; }
        public byte[]? OldProof { get; init; }
        public byte[]? OldCiphertext { get; init; }
    }
}
