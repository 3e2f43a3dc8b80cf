using Dapper;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Retention;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Retention;

public abstract class RetentionTests(TestServer shared)
{
    [Fact]
    public async Task Expired_entries_are_gone_and_the_rest_is_contiguous()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync();
        for (var i = 0; i < 30; i++)
            await hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), [(byte)i], TimeToLiveSeconds: i % 3 == 0 ? 60 : null));
        var before = await hub.SyncAsync(room.Id);
        server.Time.Advance(TimeSpan.FromMinutes(3));
        // Not readable, also before the job runs.
        Assert.Equal(10, (await hub.SyncAsync(room.Id)).Entries.Count(entry => entry.Kind == EntryKind.Gone));
        await RunAsync(server);
        Assert.Equal(20, await server.ScalarAsync<long>("select count(*) from entries where ciphertext is not null"));
        var after = await hub.SyncAsync(room.Id);
        Assert.Equal(before.Entries.Select(entry => entry.Seq), after.Entries.Select(entry => entry.Seq));
        Assert.All(before.Entries.Zip(after.Entries), pair => Assert.True(pair.Second.Kind == EntryKind.Gone || pair.Second.Id == pair.First.Id));
    }

    [Fact]
    public async Task A_room_with_purged_entries_reports_where_its_log_begins()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([], timeToLiveSeconds: 3600);
        var hub = await anna.ConnectAsync();
        var request = new SendRequest(room.Id, Guid.NewGuid(), [1]);
        await hub.SendAsync(request);
        for (var i = 0; i < 20; i++)
            await hub.SendAsync(room.Id, [2]);
        server.Time.Advance(TimeSpan.FromHours(2));
        await RunAsync(server);
        // Late retries are still recognised.
        anna.Use(await anna.SignInAsync());
        hub = await anna.ConnectAsync();
        Assert.Equal((2L, true), ((await hub.SendAsync(request)).Seq, (await hub.SendAsync(request)).Duplicate));
        server.Time.Advance(TimeSpan.FromHours(49));
        await RunAsync(server);
        anna.Use(await anna.SignInAsync());
        hub = await anna.ConnectAsync();
        var page = await hub.SyncAsync(room.Id);
        Assert.Equal((22L, 23L, 0), (page.HeadSeq, page.FirstSeq, page.Entries.Length));
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from entries"));
        Assert.Equal(23, (await hub.SendAsync(room.Id, [3])).Seq);
        Assert.Equal([23L], (await hub.WaitAsync(room.Id, entries => entries.Length == 1)).Select(entry => entry.Seq));
    }

    [Fact]
    public async Task A_gone_entry_loses_its_id_and_owner_proof_after_one_to_two_days()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync();
        await hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), [1], TimeToLiveSeconds: 60));
        await hub.RetractAsync(room.Id, (await hub.SendAsync(room.Id, [2])).Seq);
        server.Time.Advance(TimeSpan.FromMinutes(3));
        await RunAsync(server);
        server.Time.Advance(TimeSpan.FromHours(23));
        await RunAsync(server);
        Assert.Equal(2, await CountAsync("id is not null and owner_proof is not null"));

        server.Time.Advance(TimeSpan.FromHours(25));
        await RunAsync(server);
        Assert.Equal(2, await CountAsync("id is null and owner_proof is null and expires_at is null"));

        Task<long> CountAsync(string condition) =>
            server.ScalarAsync<long>($"select count(*) from entries where room_id = @Id and kind = {(int)EntryKind.Gone} and {condition}", new { room.Id });
    }

    [Fact]
    public async Task Ended_sessions_and_their_tokens_are_deleted_after_a_day()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        var other = await anna.SignInAsync();
        (await anna.Http.DeleteAsync($"/v1/me/sessions/{other.SessionId}")).EnsureSuccessStatusCode();
        await RunAsync(server);
        Assert.Equal(2, await server.ScalarAsync<long>("select count(*) from sessions"));
        server.Time.Advance(TimeSpan.FromHours(26));
        await RunAsync(server);
        Assert.Equal(1, await server.ScalarAsync<long>("select count(*) from sessions"));
        server.Time.Advance(TimeSpan.FromDays(100));
        await RunAsync(server);
        server.Time.Advance(TimeSpan.FromHours(26));
        await RunAsync(server);
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from sessions"));
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from refresh_tokens"));
        Assert.Contains(server.Logs, line => line.Contains("Purged", StringComparison.Ordinal));
    }

    private static Task RunAsync(TestServer server) => server.Services.GetRequiredService<RetentionService>().RunOnceAsync(CancellationToken.None);
}

public sealed class RetentionTestsOnSqlite(SqliteServer server) : RetentionTests(server);

public sealed class RetentionTestsOnPostgres(PostgresServer shared) : RetentionTests(shared)
{
    private readonly TestServer shared = shared;

    [Fact]
    public async Task Several_nodes_share_the_retention_job()
    {
        await using var server = await shared.DedicatedAsync();
        await using var second = await server.AnotherNodeAsync();
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync();
        for (var i = 0; i < 200; i++)
            await hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), [1], TimeToLiveSeconds: 60));
        server.Time.Advance(TimeSpan.FromMinutes(3));
        second.Time.Advance(TimeSpan.FromMinutes(3));
        TestServer[] nodes = [server, second];
        Task RunAllAsync() => Task.WhenAll(
            Enumerable.Range(0, 10).Select(i => nodes[i % 2].Services.GetRequiredService<RetentionService>().RunOnceAsync(CancellationToken.None)));
        Task<long> KeptAsync() => server.ScalarAsync<long>("select count(*) from entries where ciphertext is not null");

        // A third node runs the job: these do nothing.
        await using (var third = new NpgsqlConnection(server.PostgresConnection))
        {
            await third.OpenAsync();
            await using var transaction = await third.BeginTransactionAsync();
            await third.ExecuteAsync("select pg_advisory_xact_lock(@LockKey)", new { EntryPurge.LockKey }, transaction);
            await RunAllAsync();
            Assert.Equal(200, await KeptAsync());
        }

        await RunAllAsync();
        Assert.Equal(0, await KeptAsync());
    }
}
