using System.Diagnostics;
using System.Net.Http.Json;
using Npgsql;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Cluster;
using SecureMessaging.Tests.Harness;
using StackExchange.Redis;

namespace SecureMessaging.Tests.Cluster;

/// <summary>Two nodes on one Postgres and one Redis that is really killed and paused, with plain SignalR connections.</summary>
[Trait("Ring", "Full")]
public sealed class ClusterTests(PostgresServer shared) : IAsyncLifetime
{
    private static readonly RedisChannel Channel = RedisChannel.Literal("secure-messaging:nodes");
    private TwoNodes nodes = null!;

    private RedisProcess Redis => nodes.Redis;

    private TestServer First => nodes.First;

    private TestServer Second => nodes.Second;

    public async ValueTask InitializeAsync() => nodes = await TwoNodes.StartAsync(shared);

    public ValueTask DisposeAsync() => nodes.DisposeAsync();

    [Fact]
    public async Task A_plain_client_sees_one_gapless_log_while_Redis_dies_and_restarts()
    {
        var users = await First.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writers = new[] { await users[0].ConnectAsync(), await users[0].ConnectAsync(node: Second.Url) };
        var readers = new[] { await users[1].ConnectAsync(), await users[1].ConnectAsync(messagePack: true, node: Second.Url) };
        await using var writing = new SteadyWriter(writers[0], room.Id);
        await using var writingToo = new SteadyWriter(writers[1], room.Id);
        await SufferAsync(users[0], room.Id);
        var acked = await writing.StopAsync() + await writingToo.StopAsync();
        foreach (var reader in readers)
        {
            var pushed = await reader.WaitAsync(room.Id, entries => entries.Length >= acked);
            Assert.Equal(Enumerable.Range(3, acked).Select(seq => (long)seq), pushed.Select(entry => entry.Seq));
            Assert.Empty(reader.Pushes(nameof(IChatClient.Resync)));
        }
    }

    [Fact]
    public async Task The_official_JavaScript_client_sees_one_gapless_log_while_Redis_dies_and_restarts()
    {
        var users = await First.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        await using var client = await JavaScriptClient.StartAsync(
            room.Id,
            [JavaScriptPlace.ByToken(users[0], First, messagePack: true), JavaScriptPlace.ByToken(users[0], Second, messagePack: false)],
            [JavaScriptPlace.ByToken(users[1], First, messagePack: false), await JavaScriptPlace.ByTicketAsync(users[1], Second, messagePack: true)]);
        await SufferAsync(users[0], room.Id);
        var (report, exitCode) = await client.FinishAsync();
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"acknowledged {report.Acknowledged}\n{string.Join('\n', report.Readers.Select(counts => counts.ToString()))}");
        Assert.Empty(report.Errors);
        Assert.Equal(Enumerable.Repeat(new JavaScriptCounts(report.Acknowledged, 0, 0, 0, 0, 0, 0, 0), 2), report.Readers);
        Assert.Equal(0, exitCode);
        // The log contains exactly the acknowledged entries, after the two joins.
        Assert.Equal(2 + report.Acknowledged, await HeadAsync(users[0], room.Id));
        Assert.True(report.Acknowledged > 100, "There were hardly any sends to go wrong.");
    }

    [Fact]
    public async Task Without_Redis_everything_works_and_other_nodes_are_seconds_behind()
    {
        await Redis.KillAsync();
        await nodes.HealthyAsync(false);
        Assert.Contains("\"degraded\"", await First.Http.GetStringAsync("/health/ready"), StringComparison.Ordinal);
        var users = await First.SignUpAsync(3);
        var ben = await users[1].ConnectAsync(node: Second.Url);
        // Joins, leaves and ended sessions are detected too.
        var room = await users[0].CreateRoomAsync([users[1], users[2]]);
        var anna = await users[0].ConnectAsync();
        var carl = await users[2].ConnectAsync(node: Second.Url);
        // Pushes begin with it; earlier entries need a Sync.
        await ben.WaitAsync(nameof(IChatClient.RoomChanged));
        var delays = new List<double>();
        for (var i = 0; i < 20; i++)
        {
            var watch = Stopwatch.StartNew();
            var ack = await anna.SendAsync(room.Id, [1]);
            await ben.WaitAsync(room.Id, entries => entries.Length > 0 && entries[^1].Seq >= ack.Seq);
            delays.Add(watch.Elapsed.TotalMilliseconds);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"delivery without Redis: median {delays.Order().ElementAt(10):F0} ms, worst {delays.Max():F0} ms");
        // The median, which a short stall of the machine does not change.
        Assert.True(delays.Order().ElementAt(10) < 3000, $"{string.Join(", ", delays)} ms");
        await users[0].RemoveMemberAsync(room.Id, users[1]);
        var last = await anna.SendAsync(room.Id, [2]);
        await carl.WaitAsync(room.Id, entries => entries.Length > 0 && entries[^1].Seq == last.Seq);
        // An entry of another room that is committed later arrives after everything of this room.
        var other = await users[0].CreateRoomAsync([users[1]]);
        await ben.WaitAsync(other.Id, entries => entries.Length > 0);
        Assert.Equal(EntryKind.MemberLeft, ben.Received(room.Id)[^1].Kind);
        (await users[2].Http.PostAsync("/v1/auth/logout-everywhere", null)).EnsureSuccessStatusCode();
        await carl.Closed.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task A_node_starts_without_Redis_and_joins_the_others_once_Redis_is_up()
    {
        await Redis.KillAsync();
        await using var third = await nodes.AnotherAsync();
        var users = await First.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var reader = await users[1].ConnectAsync(node: third.Url);
        var writer = await users[0].ConnectAsync();
        await writer.SendAsync(room.Id, [1]);
        await reader.WaitAsync(room.Id, entries => entries.Length == 1);
        await Redis.StartAsync();
        await Eventually.TrueAsync(() => TwoNodes.IsHealthy(third));
        await nodes.HealthyAsync(true);
        await ArrivesBeforeAnySweepAsync([writer], reader, room.Id, received: 1, atOnce: 1);
    }

    [Fact]
    public async Task Sends_on_a_node_that_lost_Redis_reach_other_nodes_within_seconds()
    {
        await using var third = await First.AnotherNodeAsync("--ConnectionStrings:Redis=127.0.0.1:1");
        var users = await First.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var reader = await users[1].ConnectAsync();
        var writer = await users[0].ConnectAsync(node: third.Url);
        var times = new List<double>();
        for (var i = 0; i < 5; i++)
        {
            var watch = Stopwatch.StartNew();
            var ack = await writer.SendAsync(room.Id, [1]);
            await reader.WaitAsync(room.Id, entries => entries.Length > 0 && entries[^1].Seq >= ack.Seq);
            times.Add(watch.Elapsed.TotalMilliseconds);
        }

        Assert.True(times.Order().ElementAt(2) < 3000, $"{string.Join(", ", times)} ms");
    }

    [Fact]
    public async Task Messages_forged_on_Redis_add_and_remove_no_member()
    {
        var users = await First.SignUpAsync(3);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync();
        var member = await users[1].ConnectAsync();
        var stranger = await users[2].ConnectAsync();
        var ack = await writer.SendAsync(room.Id, [1]);
        await member.WaitAsync(room.Id, entries => entries.Length == 1);

        await using var forger = await ConnectionMultiplexer.ConnectAsync(Redis.ConnectionString);
        // Both nodes subscribe to the forger's channel.
        byte[][] forgeries =
        [
            BusMessage.Joined(Guid.NewGuid(), room.Id, users[2].Id, ack.Seq), BusMessage.RoomDeleted(Guid.NewGuid(), room.Id),
            BusMessage.Entries(Guid.NewGuid(), new byte[300]), BusMessage.Entries(Guid.NewGuid(), []), [], [255], new byte[20_000],
        ];
        foreach (var forged in forgeries)
            Assert.Equal(2, await forger.GetSubscriber().PublishAsync(Channel, forged));
        // The other node publishes these entries on the same channel after the forged messages.
        var elsewhere = await users[0].ConnectAsync(node: Second.Url);
        var another = await users[0].CreateRoomAsync([users[2]]);
        await elsewhere.SendAsync(room.Id, [2]);
        await elsewhere.SendAsync(another.Id, [3]);
        await member.WaitAsync(room.Id, entries => entries.Length == 2);
        await stranger.WaitAsync(another.Id, entries => entries.Length > 0 && entries[^1].Kind == EntryKind.Message);
        Assert.Empty(stranger.Received(room.Id));
        Assert.Empty(member.Pushes(nameof(IChatClient.RoomChanged)));
    }

    [Fact]
    public async Task Joining_leaving_signals_deletion_and_logout_reach_the_other_node()
    {
        var users = await First.SignUpAsync(2);
        var ben = await users[1].ConnectAsync(node: Second.Url);
        var anna = await users[0].ConnectAsync();
        var room = await users[0].CreateRoomAsync([]);
        await anna.SendAsync(room.Id, [1]);
        for (var round = 0; round < 5; round++)
        {
            await users[0].AddMemberAsync(room.Id, users[1]);
            await anna.SendAsync(room.Id, [2]);
            await users[0].RemoveMemberAsync(room.Id, users[1]);
            await anna.SendAsync(room.Id, [3]);
            await ben.WaitAsync(room.Id, entries => entries.Count(entry => entry.Kind == EntryKind.MemberLeft) == round + 1);
        }

        // An entry of another room that is committed later arrives after everything of this room.
        var other = await users[0].CreateRoomAsync([users[1]]);
        await ben.WaitAsync(other.Id, entries => entries.Length > 0);
        var kinds = ben.Received(room.Id).Select(entry => entry.Kind).ToArray();
        Assert.Equal(Enumerable.Repeat(new[] { EntryKind.MemberJoined, EntryKind.Message, EntryKind.MemberLeft }, 5).SelectMany(stay => stay), kinds);

        await anna.SignalAsync(other.Id, [9]);
        Assert.Equal([9], (byte[])(await ben.WaitAsync(nameof(IChatClient.Signaled)))[1]!);
        (await users[0].Http.DeleteAsync($"/v1/rooms/{other.Id}")).EnsureSuccessStatusCode();
        await Eventually.TrueAsync(() => ben.Pushes(nameof(IChatClient.RoomChanged)).Any(push => push is [Guid id, RoomChange.Deleted] && id == other.Id));
        (await users[1].Http.PostAsync("/v1/auth/logout", null)).EnsureSuccessStatusCode();
        // Sooner than the regular check of sessions, every ten seconds.
        await ben.Closed.Task.WaitAsync(TimeSpan.FromSeconds(8));
    }

    [Fact]
    public async Task Entries_of_one_node_reach_the_other_before_its_reconciliation()
    {
        var users = await First.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var reader = await users[1].ConnectAsync(node: Second.Url);
        var writers = new[] { await users[0].ConnectAsync(), await users[0].ConnectAsync() };
        // One at a time, and so many that the writer hands its writes over.
        await ArrivesBeforeAnySweepAsync(writers, reader, room.Id, received: 0, atOnce: 1);
        await ArrivesBeforeAnySweepAsync(writers, reader, room.Id, received: 11, atOnce: 100);
    }

    [Fact]
    public async Task Roster_changes_reach_a_node_that_had_no_database_meanwhile()
    {
        var role = $"node_{Guid.NewGuid():N}";
        await First.Database.ExecuteAsync($"create role {role} superuser login", null, CancellationToken.None);
        var connection = new NpgsqlConnectionStringBuilder(First.PostgresConnection) { Username = role };
        await using var third = await nodes.AnotherAsync($"--ConnectionStrings:Postgres={connection}");
        await Eventually.TrueAsync(() => TwoNodes.IsHealthy(third));
        var users = await First.SignUpAsync(2);
        var ben = await users[1].ConnectAsync(node: third.Url);
        var anna = await users[0].ConnectAsync();
        var room = await users[0].CreateRoomAsync([]);
        var watch = Stopwatch.StartNew();
        await First.Database.ExecuteAsync($"alter role {role} nologin", null, CancellationToken.None);
        await First.Database.ExecuteAsync($"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'", null, CancellationToken.None);
        await users[0].AddMemberAsync(room.Id, users[1]);
        await anna.SendAsync(room.Id, [1]);
        await users[0].RemoveMemberAsync(room.Id, users[1]);
        int Failures() => third.Logs.Count(line => line.Contains("Reconciliation with the database failed", StringComparison.Ordinal));
        await Eventually.TrueAsync(() => Failures() > 0);
        Assert.Empty(ben.Received(room.Id));
        await First.Database.ExecuteAsync($"alter role {role} login", null, CancellationToken.None);
        var received = await ben.WaitAsync(room.Id, entries => entries.Length == 3);
        Assert.Equal([EntryKind.MemberJoined, EntryKind.Message, EntryKind.MemberLeft], received.Select(entry => entry.Kind));
        // At most twice per second, and once per hint.
        Assert.InRange(Failures(), 1, 14 + (2 * watch.Elapsed.TotalSeconds));
    }

    [Fact]
    public async Task A_paused_Redis_delays_no_sender_of_many_bytes()
    {
        var users = await First.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync(messagePack: true);
        Redis.Pause();
        var slowest = 0.0;
        var sent = 0;
        // More than sockets buffer.
        for (var i = 0; i < 100; i++)
        {
            var watch = Stopwatch.StartNew();
            var results = await writer.SendBatchAsync([.. Enumerable.Range(0, 7).Select(_ => new SendRequest(room.Id, Guid.NewGuid(), new byte[32 * 1024]))]);
            slowest = Math.Max(slowest, watch.Elapsed.TotalMilliseconds);
            Assert.All(results, result => Assert.Null(result.Error));
            sent += results.Length;
        }

        Redis.Resume();
        Assert.True(slowest < 2000, $"{slowest} ms");
        await nodes.HealthyAsync(true);
        // Read instead of pushed: it exceeds what may wait for a client.
        var reader = await users[1].ConnectAsync(node: Second.Url);
        var stored = await reader.ReadLogAsync(room.Id);
        var seqs = stored.Where(entry => entry.Kind == EntryKind.Message).Select(entry => entry.Seq).ToArray();
        Assert.Equal(Enumerable.Range((int)seqs[0], sent).Select(seq => (long)seq), seqs);
        var last = await writer.SendAsync(room.Id, [1]);
        await reader.WaitAsync(room.Id, entries => entries.Length > 0 && entries[^1].Seq == last.Seq);
    }

    [Fact]
    public async Task A_paused_Redis_delays_no_sender()
    {
        await using var anna = await First.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync();
        var calm = await MeasureAsync();
        Redis.Pause();
        var paused = await MeasureAsync();
        Redis.Resume();
        TestContext.Current.TestOutputHelper?.WriteLine($"ack p99: calm {calm:F1} ms, Redis paused {paused:F1} ms");
        // A publish that waited for Redis would take its timeout of seconds.
        Assert.True(paused < 1000, $"{paused} ms");

        async Task<double> MeasureAsync()
        {
            var times = new List<double>();
            for (var i = 0; i < 200; i++)
            {
                var watch = Stopwatch.StartNew();
                await hub.SendAsync(room.Id, [1]);
                times.Add(watch.Elapsed.TotalMilliseconds);
                await Task.Delay(5);
            }

            return times.Order().ElementAt(197);
        }
    }

    [Fact]
    public async Task Incompatible_nodes_do_not_start()
    {
        using var directory = new TestDirectory();
        await using var lonely = new ServerProcess(directory.Path, null, $"--ConnectionStrings:Redis={Redis.ConnectionString}");
        lonely.Launch();
        await lonely.ExitedAsync();
        Assert.Equal(1, lonely.ExitCode);
        Assert.Contains(lonely.Output, line => line.Contains("set ConnectionStrings:Postgres", StringComparison.Ordinal));

        using var third = new TestDirectory();
        await using var confused = new ServerProcess(third.Path, First.PostgresConnection, "--ConnectionStrings:Redis=redis://user:secret@redis:6379");
        confused.Launch();
        await confused.ExitedAsync();
        Assert.Equal(1, confused.ExitCode);
        Assert.Contains(confused.Output, line => line.Contains("ConnectionStrings:Redis is not", StringComparison.Ordinal));
        Assert.DoesNotContain(confused.Output, line => line.Contains("secret", StringComparison.Ordinal));

        using var other = new TestDirectory();
        await using var stranger = new ServerProcess(other.Path, First.PostgresConnection);
        stranger.Launch();
        await stranger.ExitedAsync();
        Assert.Equal(1, stranger.ExitCode);
        Assert.Contains(stranger.Output, line => line.Contains("Server:KeyDirectory", StringComparison.Ordinal));
        Assert.DoesNotContain(stranger.Output, line => line.StartsWith("   at ", StringComparison.Ordinal));
    }

    /// <summary>
    /// Kills and starts Redis, pauses and resumes it, and kills it twice in a row; each time the nodes reconnect. Between these steps the writers send.
    /// </summary>
    private async Task SufferAsync(TestUser user, Guid roomId)
    {
        await GrowsAsync();
        await Redis.KillAsync();
        await nodes.HealthyAsync(false);
        await GrowsAsync();
        await Redis.StartAsync();
        await nodes.HealthyAsync(true);

        await GrowsAsync();
        Redis.Pause();
        await nodes.HealthyAsync(false);
        await GrowsAsync();
        Redis.Resume();
        await nodes.HealthyAsync(true);

        await GrowsAsync();
        for (var i = 0; i < 2; i++)
        {
            await Redis.KillAsync();
            await Redis.StartAsync();
        }

        await using (var client = await ConnectionMultiplexer.ConnectAsync(Redis.ConnectionString))
            await Eventually.TrueAsync(() => client.GetServers()[0].SubscriptionSubscriberCount(Channel) == 2);
        await nodes.HealthyAsync(true);
        await GrowsAsync();

        async Task GrowsAsync()
        {
            var head = await HeadAsync(user, roomId);
            await Eventually.TrueAsync(async () => await HeadAsync(user, roomId) >= head + 50);
        }
    }

    private static async Task<long> HeadAsync(TestUser user, Guid roomId) =>
        (await user.Http.GetFromJsonAsync<Room>($"/v1/rooms/{roomId}", Wire.Json))!.HeadSeq;

    /// <summary>Reconciliation runs every two seconds. If entries waited for it, half of them would take longer than allowed.</summary>
    private static async Task ArrivesBeforeAnySweepAsync(TestConnection[] writers, TestConnection reader, Guid roomId, int received, int atOnce)
    {
        var times = new List<double>();
        for (var round = 1; round <= 11; round++)
        {
            var watch = Stopwatch.StartNew();
            await Task.WhenAll(Enumerable.Range(0, atOnce).Select(i => writers[i % writers.Length].SendAsync(roomId, [1])));
            await reader.WaitAsync(roomId, entries => entries.Length == received + (round * atOnce));
            times.Add(watch.Elapsed.TotalMilliseconds);
            // Waits until a delivery that had to read no longer rechecks the log; otherwise it would find the next entry itself.
            await Task.Delay(200);
        }

        Assert.True(times.Order().ElementAt(5) < 1000, $"{atOnce} at once: {string.Join(", ", times.Select(time => $"{time:F0}"))} ms");
    }
}
