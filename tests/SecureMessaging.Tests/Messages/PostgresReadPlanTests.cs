using System.Globalization;
using Dapper;
using Npgsql;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Messages;

/// <summary>The cost of a read in Postgres does not grow with the data of others.</summary>
[Trait("Ring", "Full")]
public sealed class PostgresReadPlanTests(PostgresServer shared)
{
    private const int Rooms = 20;
    private const int EntriesOfRoom = 5000;
    private const int Times = 10;

    private const string FillSql = """
        insert into users (id, username, email, email_hash, password_hash, created_on, updated_on)
            select gen_random_uuid(), 'other' || n, '', int4send(n), '', now(), now() from generate_series(1, 2000) n;
        insert into rooms (id, kind, visible, created_on, last_seq) select gen_random_uuid(), 0, false, now(), 1 from generate_series(1, 5000);
        insert into room_members (room_id, user_id, role, joined_seq, delivered_seq)
            select r.id, u.id, 0, 1, 0 from (select id, row_number() over () as n from rooms where last_seq = 1) r
            join (select id, row_number() over () as n from users where username like 'other%') u on u.n between 1 + r.n % 1990 and 10 + r.n % 1990
            on conflict do nothing;
        """;

    private const string FillEntriesSql = """
        insert into entries (room_id, seq, kind, created_at, id, ciphertext)
            select r.id, seq, 0, now(), gen_random_uuid(), decode(repeat('00', 64), 'hex')
            from rooms r cross join lateral generate_series(r.last_seq + 1, @EntriesOfRoom) seq
            where r.id in (select room_id from room_members where user_id = @UserId);
        """;

    private const string FilledSql = """
        update rooms set last_seq = @EntriesOfRoom where id in (select room_id from room_members where user_id = @UserId);
        analyze;
        """;

    private const string ScansSql =
        "select seq_scan || ' of ' || relname from pg_stat_user_tables where relname in ('entries', 'rooms', 'room_members') and seq_scan > 0";

    private const string LookUpsSql = "select sum(idx_scan)::bigint from pg_stat_user_tables where relname = 'entries'";

    [Fact]
    public async Task Pages_of_the_log_and_heads_are_found_by_index()
    {
        await using var server = await shared.DedicatedAsync("--Retention:Period=01:00:00");
        await using var anna = await server.SignUpAsync();
        for (var i = 0; i < Rooms; i++)
            await anna.CreateRoomAsync([]);
        // Outside of the server, whose command timeout is too short for these statements on a busy machine.
        await using (var filler = new NpgsqlConnection($"{server.PostgresConnection};Command Timeout=120;Pooling=False"))
        {
            await filler.ExecuteAsync(FillSql);
            await filler.ExecuteAsync(FillEntriesSql, new { UserId = anna.Id, EntriesOfRoom });
            await filler.ExecuteAsync(FilledSql, new { UserId = anna.Id, EntriesOfRoom });
        }

        var connection = await anna.ConnectAsync();
        await using var ben = await server.SignUpAsync();
        var stranger = await ben.ConnectAsync();
        var room = (await connection.HeadsAsync()).First(head => head.HeadSeq == EntriesOfRoom).RoomId;
        // A session reports its statistics after ten idle seconds. Those of the small tables must be reported before the reset.
        await Task.Delay(TimeSpan.FromSeconds(12));
        await server.Database.ExecuteAsync("select pg_stat_reset()", null, CancellationToken.None);

        for (var i = 0; i < Times; i++)
        {
            Assert.Equal(Rooms, (await connection.HeadsAsync()).Length);
            Assert.Equal(500, (await connection.SyncAsync(room, i * 400)).Entries.Length);
            await Assert.ThrowsAsync<HubError>(() => stranger.SyncAsync(room, i * 400));
            using var back = await anna.Http.GetAsync(
                string.Create(CultureInfo.InvariantCulture, $"/v1/rooms/{room}/log?beforeSeq={EntriesOfRoom - i}&limit=50"));
            Assert.Equal(50, (await back.ReadAsync<LogPage>()).Entries.Length);
            var rooms = (await anna.Http.AskAsync("{ rooms { headSeq log(last: 10) { nodes { seq } } } }")).GetProperty("rooms");
            Assert.All(rooms.EnumerateArray(), each => Assert.Equal(10, each.GetProperty("log").GetProperty("nodes").GetArrayLength()));
        }

        // A session reports its statistics after ten idle seconds.
        for (var until = DateTime.UtcNow.AddSeconds(30); await server.ScalarAsync<long?>(LookUpsSql) is not >= Times * (2 + Rooms);)
        {
            Assert.True(DateTime.UtcNow < until, "The statistics do not come.");
            await Task.Delay(500);
        }

        Assert.Empty(await server.RowsAsync<string>(ScansSql));
    }
}
