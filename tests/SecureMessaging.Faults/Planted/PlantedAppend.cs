using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Faults.Planted;

/// <summary>Appends to an embedded database with one of four classical bugs in it.</summary>
internal sealed class PlantedAppend(Database database, CommitFeed feed, string bug) : IEnvelopeAppend
{
    private const string RoomSql = "select r.last_seq from rooms r join room_members m on m.room_id = r.id and m.user_id = @UserId where r.id = @RoomId";
    private const string StoredSql = "select seq from entries where room_id = @RoomId and id = @Id";

    private const string InsertSql = """
        insert into entries (room_id, seq, kind, created_at, id, owner_proof, ciphertext, epoch)
        values (@RoomId, @Seq, 0, @CreatedAt, @Id, @OwnerProof, @Ciphertext, 0);
        update rooms set last_seq = max(last_seq, @Seq) where id = @RoomId;
        """;

    // A cursor over a global sequence: all rooms draw from it, before anything is committed.
    private static long globalSequence = 100;
    private Task behind = Task.CompletedTask;
    private int batches;

    public bool IsDefinite(Exception exception) => database.IsRefusalOfValues(exception);

    public AppendOutcome[] Append(IReadOnlyList<Envelope> batch, DateTime now) => AppendAsync(batch, now, CancellationToken.None).GetAwaiter().GetResult();

    private async Task<AppendOutcome[]> AppendAsync(IReadOnlyList<Envelope> batch, DateTime now, CancellationToken cancellationToken)
    {
        var outcomes = new AppendOutcome[batch.Count];
        if (bug == "ack-before-commit")
        {
            // One transaction may be open while the next batch is answered: its seqs are guessed, and a crash takes it along.
            await behind;
            var guessed = new TaskCompletionSource();
            behind = Task.Run(() => WriteAsync(batch, outcomes, now, guessed, cancellationToken), cancellationToken);
            await guessed.Task;
            return outcomes;
        }

        await WriteAsync(batch, outcomes, now, null, cancellationToken);
        return outcomes;
    }

    private Task WriteAsync(IReadOnlyList<Envelope> batch, AppendOutcome[] outcomes, DateTime now, TaskCompletionSource? written,
        CancellationToken cancellationToken) =>
        database.WriteAsync(
            async transaction =>
            {
                for (var i = 0; i < batch.Count; i++)
                    outcomes[i] = await AppendAsync(transaction, batch[i], now, cancellationToken);
                written?.TrySetResult();
                // Long against the way of an ack, so that a crash at any moment finds answers that are not committed.
                if (bug == "ack-before-commit")
                    await Task.Delay(300, cancellationToken);
                if (bug == "publish-before-commit")
                    await PublishAsync(batch, outcomes);
            },
            cancellationToken);

    private async Task PublishAsync(IReadOnlyList<Envelope> batch, AppendOutcome[] outcomes)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            if (outcomes[i].Status == AppendStatus.Stored)
                await feed.PublishAsync(batch[i].RoomId, new LogEntry(outcomes[i].Seq, EntryKind.Message, outcomes[i].CreatedAt, batch[i].Id,
                    batch[i].Ciphertext));
        }

        // The commit that may fail after all. One of the first fails too, so that a slow machine, which writes few batches, also meets the bug.
        if (++batches % 20 == 3)
            throw new ApiException(ErrorCode.Unavailable, "The commit failed.");
    }

    private async Task<AppendOutcome> AppendAsync(DbTransaction transaction, Envelope envelope, DateTime now, CancellationToken cancellationToken)
    {
        var key = new { envelope.RoomId, envelope.UserId, envelope.Id };
        if (await transaction.QuerySingleAsync<long?>(RoomSql, key, cancellationToken) is not { } head)
            return new AppendOutcome { Status = AppendStatus.NotMember };
        var id = envelope.Id;
        if (await transaction.QuerySingleAsync<long?>(StoredSql, key, cancellationToken) is { } stored)
        {
            if (bug != "no-deduplication")
                return new AppendOutcome { Status = AppendStatus.Duplicate, Seq = stored, CreatedAt = now.ToMinute() };
            // As if the id were not remembered: the repeat becomes an entry of its own.
            id = Guid.NewGuid();
        }

        var seq = bug == "global-sequence" ? Interlocked.Increment(ref globalSequence) : head + 1;
        await transaction.ExecuteAsync(
            InsertSql, new { envelope.RoomId, Seq = seq, CreatedAt = now.ToMinute(), Id = id, envelope.OwnerProof, envelope.Ciphertext }, cancellationToken);
        return new AppendOutcome { Status = AppendStatus.Stored, Seq = seq, CreatedAt = now.ToMinute() };
    }
}
