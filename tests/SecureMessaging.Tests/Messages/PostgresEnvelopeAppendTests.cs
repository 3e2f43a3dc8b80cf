using Dapper;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Messages;

/// <summary>The cost of the append's statement in Postgres, and the schema without a foreign key.</summary>
[Trait("Ring", "Full")]
public sealed class PostgresEnvelopeAppendTests(PostgresServer server)
{
    private const int Batches = 40;

    [Theory]
    [InlineData(1, null)]
    [InlineData(16, null)]
    [InlineData(1, 8)]
    [InlineData(16, 4)]
    public async Task A_growing_log_is_never_scanned_and_its_append_is_not_planned_again(int batchLength, int? analyzedAt)
    {
        var connectionString = await TestPostgres.CreateDatabaseAsync();
        try
        {
            await using var database = new PostgresDatabase(connectionString);
            database.Migrate(NullLogger.Instance);
            // Otherwise an analyze of the grown log would hide the fault.
            await database.ExecuteAsync(
                "alter table entries set (autovacuum_enabled = false); alter table rooms set (autovacuum_enabled = false);", null, CancellationToken.None);
            var (roomId, userId) = (Guid.NewGuid(), Guid.NewGuid());
            await database.ExecuteAsync(
                """
                insert into users (id, username, email, email_hash, password_hash, created_on, updated_on) values (@UserId, 'anna', '', '', '', now(), now());
                insert into rooms (id, kind, visible, created_on) values (@RoomId, 0, false, now());
                insert into room_members (room_id, user_id, role, joined_seq, delivered_seq) values (@RoomId, @UserId, 0, 1, 0);
                """,
                new { RoomId = roomId, UserId = userId },
                CancellationToken.None);
            var append = new PostgresEnvelopeAppend(database, server.Services.GetRequiredService<OwnerProof>());
            for (var i = 0; i < Batches; i++)
            {
                if (i == analyzedAt)
                    await database.ExecuteAsync("analyze", null, CancellationToken.None);
                var outcomes = append.Append([.. Enumerable.Range(0, batchLength)
                    .Select(_ => new Envelope(roomId, userId, Guid.NewGuid(), new byte[16], [1], 0, null))], DateTime.UtcNow);
                Assert.Equal(Enumerable.Range(1 + (i * batchLength), batchLength).Select(seq => (long)seq), outcomes.Select(outcome => outcome.Seq));
            }

            // The writer's session, whose prepared statements can be queried.
            database.Run(connection =>
            {
                var (kept, anew) = connection.QuerySingle<(long, long)>(
                    "select generic_plans, custom_plans from pg_prepared_statements where statement like '%insert into entries%'");
                Assert.Equal(0, anew);
                Assert.InRange(kept, Batches / 2, Batches);
                connection.Execute("select pg_stat_force_next_flush()");
                Assert.Equal((0, Batches * batchLength), connection.QuerySingle<(long, long)>(
                    "select seq_tup_read, n_tup_ins from pg_stat_user_tables where relname = 'entries'"));
                return true;
            });
        }
        finally
        {
            await TestPostgres.DropDatabaseAsync(connectionString);
        }
    }

    [Fact]
    public async Task Deleting_a_room_deletes_entries_appended_meanwhile()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        await using var other = new NpgsqlConnection(server.PostgresConnection);
        await other.OpenAsync();
        await using var transaction = await other.BeginTransactionAsync();
        await other.ExecuteAsync(
            """
            update rooms set last_seq = last_seq + 1 where id = @Id;
            insert into entries (room_id, seq, kind, created_at) select id, last_seq, 0, now() from rooms where id = @Id
            """,
            new { room.Id },
            transaction);
        var deletion = anna.Http.DeleteAsync($"/v1/rooms/{room.Id}");
        while (await server.ScalarAsync<long>(
            "select count(*) from pg_stat_activity where @Pid = any(pg_blocking_pids(pid))", new { Pid = other.ProcessID }) == 0)
        {
            Assert.False(deletion.IsCompleted);
            await Task.Delay(10);
        }

        await transaction.CommitAsync();
        (await deletion).EnsureSuccessStatusCode();
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from entries where room_id = @Id", new { room.Id }));
    }
}
