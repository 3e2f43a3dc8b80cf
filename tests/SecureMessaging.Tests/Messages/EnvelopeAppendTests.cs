using Dapper;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Messages;

/// <summary>The outcomes of each engine's append, for single envelopes and for batches: their statements differ.</summary>
public abstract class EnvelopeAppendTests(TestServer server)
{
    // Far in the future, so that retention deletes nothing.
    private protected static DateTime Now { get; } = new(2099, 3, 4, 5, 6, 7, 891, DateTimeKind.Utc);

    private readonly Random random = Seed.For(nameof(EnvelopeAppendTests));

    private protected TestServer Server => server;

    // Not the server's instance, which would keep the year of this clock.
    private protected IEnvelopeAppend Append { get; } = server.Database.IsPostgres
        ? new PostgresEnvelopeAppend(server.Database, server.Services.GetRequiredService<OwnerProof>())
        : new SqliteEnvelopeAppend(server.Database, server.Services.GetRequiredService<OwnerProof>());

    private protected Guid Anna { get; } = Guid.NewGuid();

    private protected Guid Ben { get; } = Guid.NewGuid();

    private protected Guid SealedRoom { get; } = Guid.NewGuid();

    private protected Guid VisibleRoom { get; } = Guid.NewGuid();

    private protected Guid MlsRoom { get; } = Guid.NewGuid();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(100)]
    public async Task Each_envelope_has_its_own_outcome_and_stored_seqs_have_no_gaps(int batchLength)
    {
        await PlantAsync();
        var first = Envelope(SealedRoom, Anna);
        Assert.Equal((AppendStatus.Stored, 11L), Result(Append.Append([first], Now).Single()));
        (Envelope Envelope, AppendStatus Status, long Seq)[] cases =
        [
            (Envelope(SealedRoom, Ben), AppendStatus.NotMember, 0),
            (first, AppendStatus.Duplicate, 11),
            (Envelope(SealedRoom, Anna), AppendStatus.Stored, 12),
            (first with { Id = Guid.NewGuid(), Epoch = 6 }, AppendStatus.EpochAhead, 0),
            (Envelope(MlsRoom, Anna) with { Epoch = 5 }, AppendStatus.NotMls, 0),
            (Envelope(VisibleRoom, Ben), AppendStatus.Stored, 11),
            (Envelope(SealedRoom, Anna) with { Epoch = 1 }, AppendStatus.EpochTooOld, 0),
            (Envelope(SealedRoom, Anna) with { Epoch = 2 }, AppendStatus.Stored, 13),
            (Envelope(Guid.NewGuid(), Anna), AppendStatus.NotMember, 0),
            (Envelope(MlsRoom, Anna) with { Epoch = 5, Generation = 6 }, AppendStatus.EpochTooOld, 0),
            (Envelope(MlsRoom, Anna) with { Epoch = 5, Generation = 7 }, AppendStatus.Stored, 11),
            (Envelope(VisibleRoom, Anna) with { TimeToLive = 60 }, AppendStatus.Stored, 12),
            (Envelope(VisibleRoom, Anna) with { TimeToLive = 6000 }, AppendStatus.Stored, 13),
            (Envelope(SealedRoom, Anna) with { TimeToLive = 52 }, AppendStatus.Stored, 14),
        ];
        var outcomes = Run(cases.Select(item => item.Envelope), batchLength);
        Assert.Equal(cases.Select(item => (item.Status, item.Seq)), outcomes.Select(Result));
        Assert.All(outcomes.Where(outcome => outcome.Status is AppendStatus.Stored or AppendStatus.Duplicate), outcome =>
            Assert.Equal(Now.ToMinute(), outcome.CreatedAt));
        Assert.Equal(5, outcomes[3].RoomEpoch);
        // Rounded up to the minute. The room's limit of one hour shortens longer ones.
        Assert.Equal([null, At(6, 7), At(5, 8), At(6, 7), At(5, 7)], new[] { 2, 5, 11, 12, 13 }.Select(i => outcomes[i].ExpiresAt));

        // Another sender's id; the owner's with other bytes; the owner's again with the same bytes.
        (Envelope Envelope, AppendStatus Status, long Seq)[] repeats =
        [
            (cases[2].Envelope with { OwnerProof = [2, .. new byte[15]] }, AppendStatus.IdTaken, 12),
            (cases[5].Envelope with { Ciphertext = [9] }, AppendStatus.IdTaken, 11),
            (Envelope(SealedRoom, Anna), AppendStatus.Stored, 15),
            (cases[7].Envelope, AppendStatus.Duplicate, 13),
            (Envelope(VisibleRoom, Ben), AppendStatus.Stored, 14),
        ];
        Assert.Equal(repeats.Select(item => (item.Status, item.Seq)), Run(repeats.Select(item => item.Envelope), batchLength).Select(Result));

        (Envelope Envelope, long Seq)[] sent =
            [(first, 11), .. cases.Concat(repeats).Where(item => item.Status == AppendStatus.Stored).Select(item => (item.Envelope, item.Seq))];
        var rows = new List<Row>();
        foreach (var roomId in new[] { SealedRoom, VisibleRoom, MlsRoom })
            rows.AddRange(await server.RowsAsync<Row>("select * from entries where room_id = @RoomId", new { RoomId = roomId }));
        Assert.Equal(sent.Select(item => (item.Envelope.RoomId, item.Seq)).ToHashSet(), rows.Select(row => (row.RoomId, row.Seq)).ToHashSet());
        foreach (var (envelope, seq) in sent)
        {
            var row = rows.Single(row => row.Id == envelope.Id);
            Assert.Equal((envelope.RoomId, seq, envelope.Epoch), (row.RoomId, row.Seq, row.Epoch));
            Assert.Equal(envelope.RoomId == VisibleRoom ? envelope.UserId : null, row.SenderId);
            Assert.Equal(envelope.OwnerProof, row.OwnerProof);
            Assert.Equal(envelope.Ciphertext, row.Ciphertext);
        }

        foreach (var (outcome, envelope) in outcomes.Zip(cases.Select(item => item.Envelope)).Where(pair => pair.First.Status == AppendStatus.Stored))
            Assert.Equal(outcome.ExpiresAt, rows.Single(row => row.Id == envelope.Id).ExpiresAt);
        foreach (var (roomId, head) in new[] { (SealedRoom, 15L), (VisibleRoom, 14L), (MlsRoom, 11L) })
            Assert.Equal(head, await HeadAsync(roomId));
    }

    [Fact]
    public async Task A_completely_rejected_batch_allocates_no_seq()
    {
        await PlantAsync();
        Assert.All(Append.Append([Envelope(SealedRoom, Ben), Envelope(SealedRoom, Ben)], Now), outcome => Assert.Equal(AppendStatus.NotMember, outcome.Status));
        Assert.All(Append.Append([Envelope(SealedRoom, Ben)], Now), outcome => Assert.Equal(AppendStatus.NotMember, outcome.Status));
        Assert.Equal(10, await HeadAsync(SealedRoom));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task A_retry_is_recognised_however_far_the_room_has_advanced(int batchLength)
    {
        await PlantAsync();
        Envelope[] sent = [Envelope(SealedRoom, Anna), Envelope(VisibleRoom, Anna), Envelope(MlsRoom, Anna) with { Generation = 7 }];
        Assert.All(Run(sent, batchLength), outcome => Assert.Equal((AppendStatus.Stored, 11L), Result(outcome)));
        await server.Database.ExecuteAsync(
            "update rooms set epoch = epoch + 9, generation = generation + 1 where id = @SealedRoom or id = @MlsRoom", new { SealedRoom, MlsRoom },
            CancellationToken.None);
        await server.Database.ExecuteAsync("update rooms set epoch = 0 where id = @VisibleRoom", new { VisibleRoom }, CancellationToken.None);
        Assert.All(Run(sent, batchLength), outcome => Assert.Equal((AppendStatus.Duplicate, 11L), Result(outcome)));
    }

    private protected Envelope Envelope(Guid roomId, Guid userId) =>
        new(roomId, userId, Guid.NewGuid(), Bytes(16), Bytes(random.Next(10) == 0 ? 32 * 1024 : random.Next(1, 600)), 5, null);

    private byte[] Bytes(int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    private protected static (AppendStatus Status, long Seq) Result(AppendOutcome outcome) =>
        (outcome.Status, outcome.Status is AppendStatus.Stored or AppendStatus.Duplicate or AppendStatus.IdTaken ? outcome.Seq : 0);

    private AppendOutcome[] Run(IEnumerable<Envelope> envelopes, int batchLength) =>
        [.. envelopes.Chunk(batchLength).SelectMany(chunk => Append.Append(chunk, Now))];

    private static DateTime At(int hour, int minute) => new(2099, 3, 4, hour, minute, 0, DateTimeKind.Utc);

    private protected Task<long> HeadAsync(Guid roomId) => server.ScalarAsync<long>("select last_seq from rooms where id = @Id", new { Id = roomId });

    /// <summary>Anna is in all three rooms, Ben in the visible one. Each room has ten purged entries.</summary>
    private protected async Task PlantAsync()
    {
        foreach (var userId in new[] { Anna, Ben })
        {
            await server.Database.ExecuteAsync(
                "insert into users (id, username, email, email_hash, password_hash, created_on, updated_on) values (@Id, @Name, @Hash, @Hash, '', @Now, @Now)",
                new { Id = userId, Name = userId.ToString(), Hash = userId.ToByteArray(), Now }, CancellationToken.None);
        }

        foreach (var (roomId, visible, timeToLive, scheme, users) in new (Guid, bool, int?, string, Guid[])[]
        {
            (SealedRoom, false, null, "opaque", [Anna]), (VisibleRoom, true, 3600, "opaque", [Anna, Ben]), (MlsRoom, false, null, "mls10", [Anna]),
        })
        {
            await server.Database.ExecuteAsync(
                """
                insert into rooms (id, kind, visible, time_to_live, epoch, last_seq, first_seq, created_on, scheme, generation)
                values (@Id, 0, @Visible, @TimeToLive, 5, 10, 11, @Now, @Scheme, 7)
                """,
                new { Id = roomId, Visible = visible, TimeToLive = timeToLive, Now, Scheme = scheme }, CancellationToken.None);
            foreach (var userId in users)
            {
                await server.Database.ExecuteAsync(
                    "insert into room_members (room_id, user_id, role, joined_seq, delivered_seq) values (@RoomId, @UserId, 0, 1, 0)",
                    new { RoomId = roomId, UserId = userId }, CancellationToken.None);
            }
        }
    }

    private sealed record Row
    {
        public Guid RoomId { get; init; }
        public long Seq { get; init; }
        public Guid Id { get; init; }
        public byte[] OwnerProof { get; init; } = [];
        public byte[] Ciphertext { get; init; } = [];
        public long Epoch { get; init; }
        public Guid? SenderId { get; init; }
        public DateTime? ExpiresAt { get; init; }
    }
}

public sealed class EnvelopeAppendTestsOnSqlite(SqliteServer server) : EnvelopeAppendTests(server);

public sealed class EnvelopeAppendTestsOnPostgres(PostgresServer server) : EnvelopeAppendTests(server)
{
    /// <summary>Changes by another node in a room, in batches of one and of several envelopes. An envelope to another room is in each batch.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task An_append_leaves_a_locked_room_and_later_sees_its_changes(int batchLength)
    {
        await PlantAsync();
        var (removed, repeated, taken, other) =
            (Envelope(VisibleRoom, Ben), Envelope(VisibleRoom, Anna), Envelope(VisibleRoom, Anna), Envelope(VisibleRoom, Anna));
        Envelope[] envelopes = [removed, repeated, taken, other];
        var outcomes = new List<AppendOutcome>();
        foreach (var batch in envelopes.Chunk(batchLength))
        {
            await using var connection = new NpgsqlConnection(Server.PostgresConnection);
            await connection.OpenAsync();
            await using var transaction = await connection.BeginTransactionAsync();
            await connection.ExecuteAsync(
                """
                update rooms set last_seq = last_seq + 3, epoch = 6 where id = @RoomId;
                delete from room_members where room_id = @RoomId and user_id = @Ben;
                insert into entries (room_id, seq, kind, created_at, id, owner_proof, ciphertext)
                select @RoomId, r.last_seq - 2 + i.n, 0, now(), i.id, i.proof, i.ciphertext from rooms r,
                    (values (0, @RepeatedId, @Proof, @Same), (1, @TakenId, @Proof, '\x09'::bytea), (2, null, null, null)) as i (n, id, proof, ciphertext)
                where r.id = @RoomId and not exists (select from entries where room_id = @RoomId and id = i.id)
                """,
                new { RoomId = VisibleRoom, Ben, RepeatedId = repeated.Id, TakenId = taken.Id, Proof = repeated.OwnerProof, Same = repeated.Ciphertext },
                transaction);
            var meanwhile = Append.Append([.. batch, Envelope(SealedRoom, Anna)], Now);
            Assert.Equal([.. batch.Select(_ => AppendStatus.RoomLocked), AppendStatus.Stored], meanwhile.Select(outcome => outcome.Status));
            await transaction.CommitAsync();
            outcomes.AddRange(Append.Append(batch, Now));
        }

        Assert.Equal([AppendStatus.NotMember, AppendStatus.Duplicate, AppendStatus.IdTaken, AppendStatus.Stored], outcomes.Select(outcome => outcome.Status));
        Assert.Equal(6, outcomes[3].RoomEpoch);
        // The last one, after the entries of the other node.
        Assert.Equal(outcomes[3].Seq, await HeadAsync(VisibleRoom));
        Assert.Equal(10 + (3 * envelopes.Chunk(batchLength).Count()) + 1, outcomes[3].Seq);
    }
}
