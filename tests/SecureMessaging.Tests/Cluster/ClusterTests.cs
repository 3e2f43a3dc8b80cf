using System.Diagnostics;
using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Chat;
using SecureMessaging.Tests.Harness;
using StackExchange.Redis;

namespace SecureMessaging.Tests.Cluster;

/// <summary>Two nodes on one Postgres and one Redis that is really killed and paused, with plain SignalR connections.</summary>
public sealed class ClusterTests(PostgresServer shared) : IAsyncLifetime
{
    private readonly RedisProcess redis = new();
    private TestServer first = null!;
    private TestServer second = null!;

    public async ValueTask InitializeAsync()
    {
        await redis.StartAsync();
        first = await shared.DedicatedAsync($"--ConnectionStrings:Redis={redis.ConnectionString}");
        second = await first.AnotherNodeAsync($"--ConnectionStrings:Redis={redis.ConnectionString}");
        await HealthyAsync(true);
    }

    public async ValueTask DisposeAsync()
    {
        await second.DisposeAsync();
        await first.DisposeAsync();
        await redis.DisposeAsync();
    }

    [Fact]
    public async Task A_plain_client_sees_one_gapless_log_while_redis_dies_and_comes_back()
    {
        var users = await first.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writers = new[] { await users[0].ConnectAsync(), await users[0].ConnectAsync(node: second.Url) };
        var readers = new[] { await users[1].ConnectAsync(), await users[1].ConnectAsync(messagePack: true, node: second.Url) };
        var acked = 0;
        using var stop = new CancellationTokenSource();
        var writing = writers.Select(writer => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await writer.SendAsync(room.Id, Guid.NewGuid().ToByteArray());
                Interlocked.Increment(ref acked);
            }
        })).ToArray();
        await SufferAsync();
        await stop.CancelAsync();
        await Task.WhenAll(writing);
        foreach (var reader in readers)
        {
            var pushed = await reader.WaitAsync(room.Id, entries => entries.Length >= acked);
            Assert.Equal(Enumerable.Range(3, acked).Select(seq => (long)seq), pushed.Select(entry => entry.Seq));
            Assert.Empty(reader.Pushes(nameof(IChatClient.Resync)));
        }
    }

    [Fact]
    public async Task The_official_JavaScript_client_sees_one_gapless_log_while_redis_dies_and_comes_back()
    {
        var users = await first.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        await using var client = await JavaScriptClient.StartAsync(
            room.Id,
            [JavaScriptPlace.ByToken(users[0], first, messagePack: true), JavaScriptPlace.ByToken(users[0], second, messagePack: false)],
            [JavaScriptPlace.ByToken(users[1], first, messagePack: false), await JavaScriptPlace.ByTicketAsync(users[1], second, messagePack: true)]);
        await SufferAsync();
        var (report, exitCode) = await client.FinishAsync();
        TestContext.Current.TestOutputHelper?.WriteLine($"acknowledged {report.Acknowledged}\n{string.Join('\n', report.Readers.Select(counts => counts.ToString()))}");
        Assert.Empty(report.Errors);
        Assert.Equal(Enumerable.Repeat(new JavaScriptCounts(report.Acknowledged, 0, 0, 0, 0, 0, 0, 0), 2), report.Readers);
        Assert.Equal(0, exitCode);
        // What the program took for acknowledged is what the log holds, after the two who joined.
        Assert.Equal(2 + report.Acknowledged, (await users[0].Http.GetFromJsonAsync<Room>($"/v1/rooms/{room.Id}", Wire.Json))!.HeadSeq);
        Assert.True(report.Acknowledged > 100, "There were hardly any sends to go wrong.");
    }

    [Fact]
    public async Task Without_redis_everything_works_and_other_nodes_are_seconds_behind()
    {
        await redis.KillAsync();
        await HealthyAsync(false);
        Assert.Contains("\"degraded\"", await first.Http.GetStringAsync("/health/ready"), StringComparison.Ordinal);
        var users = await first.SignUpAsync(3);
        var ben = await users[1].ConnectAsync(node: second.Url);
        // Also who joins and who leaves is found out, and the session that ends.
        var room = await users[0].CreateRoomAsync([users[1], users[2]]);
        var anna = await users[0].ConnectAsync();
        var carl = await users[2].ConnectAsync(node: second.Url);
        // Pushes begin with it; what came before it in the log would be for Sync.
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
        Assert.True(delays.Max() < 3000, $"{delays.Max()} ms");
        (await users[0].Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{users[1].Id}")).EnsureSuccessStatusCode();
        var last = await anna.SendAsync(room.Id, [2]);
        await carl.WaitAsync(room.Id, entries => entries.Length > 0 && entries[^1].Seq == last.Seq);
        await ben.WaitAsync(room.Id, entries => entries.Any(entry => entry.Kind == EntryKind.MemberLeft));
        await Task.Delay(1000);
        Assert.Equal(EntryKind.MemberLeft, ben.Received(room.Id)[^1].Kind);
        (await users[2].Http.PostAsync("/v1/auth/logout-everywhere", null)).EnsureSuccessStatusCode();
        await carl.Closed.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task A_node_boots_without_redis_and_joins_the_others_when_it_comes()
    {
        await redis.KillAsync();
        await using var third = await first.AnotherNodeAsync($"--ConnectionStrings:Redis={redis.ConnectionString}");
        var users = await first.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var reader = await users[1].ConnectAsync(node: third.Url);
        var writer = await users[0].ConnectAsync();
        await writer.SendAsync(room.Id, [1]);
        await reader.WaitAsync(room.Id, entries => entries.Length == 1);
        await redis.StartAsync();
        await UntilAsync(() => third.Services.GetRequiredService<NodeBus>().IsHealthy);
        await HealthyAsync(true);
        var watch = Stopwatch.StartNew();
        await writer.SendAsync(room.Id, [2]);
        await reader.WaitAsync(room.Id, entries => entries.Length == 2);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), "The bus is back, so nothing waits for a sweep.");
    }

    [Fact]
    public async Task A_node_that_alone_has_lost_redis_is_heard_within_seconds()
    {
        await using var third = await first.AnotherNodeAsync("--ConnectionStrings:Redis=127.0.0.1:1");
        var users = await first.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var reader = await users[1].ConnectAsync();
        var writer = await users[0].ConnectAsync(node: third.Url);
        for (var i = 0; i < 5; i++)
        {
            var watch = Stopwatch.StartNew();
            var ack = await writer.SendAsync(room.Id, [1]);
            await reader.WaitAsync(room.Id, entries => entries.Length > 0 && entries[^1].Seq >= ack.Seq);
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(3), $"{watch.Elapsed}");
        }
    }

    [Fact]
    public async Task What_is_forged_on_redis_lets_nobody_in_and_throws_nobody_out()
    {
        var users = await first.SignUpAsync(3);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync();
        var member = await users[1].ConnectAsync();
        var stranger = await users[2].ConnectAsync();
        var ack = await writer.SendAsync(room.Id, [1]);
        await member.WaitAsync(room.Id, entries => entries.Length == 1);

        await using var forger = await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString);
        foreach (var forged in new[] { BusMessage.Joined(Guid.NewGuid(), room.Id, users[2].Id, ack.Seq), BusMessage.RoomDeleted(Guid.NewGuid(), room.Id), BusMessage.Entries(Guid.NewGuid(), new byte[300]), BusMessage.Entries(Guid.NewGuid(), []), [], [255], new byte[20_000] })
            await forger.GetSubscriber().PublishAsync(RedisChannel.Literal("secure-messaging:nodes"), forged);
        await Task.Delay(1000);
        await writer.SendAsync(room.Id, [2]);
        await member.WaitAsync(room.Id, entries => entries.Length == 2);
        await Task.Delay(500);
        Assert.Empty(stranger.Received(room.Id));
        Assert.Empty(member.Pushes(nameof(IChatClient.RoomChanged)));
    }

    [Fact]
    public async Task Joining_leaving_signals_deletion_and_logout_reach_the_other_node()
    {
        var users = await first.SignUpAsync(2);
        var ben = await users[1].ConnectAsync(node: second.Url);
        var anna = await users[0].ConnectAsync();
        var room = await users[0].CreateRoomAsync([]);
        await anna.SendAsync(room.Id, [1]);
        for (var round = 0; round < 5; round++)
        {
            (await users[0].Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/members", new AddMemberRequest(users[1].Username), Wire.Json)).EnsureSuccessStatusCode();
            await anna.SendAsync(room.Id, [2]);
            (await users[0].Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{users[1].Id}")).EnsureSuccessStatusCode();
            await anna.SendAsync(room.Id, [3]);
            await ben.WaitAsync(room.Id, entries => entries.Count(entry => entry.Kind == EntryKind.MemberLeft) == round + 1);
        }

        await Task.Delay(300);
        var kinds = ben.Received(room.Id).Select(entry => entry.Kind).ToArray();
        Assert.Equal(Enumerable.Repeat(new[] { EntryKind.MemberJoined, EntryKind.Message, EntryKind.MemberLeft }, 5).SelectMany(stay => stay), kinds);

        var other = await users[0].CreateRoomAsync([users[1]]);
        await ben.WaitAsync(other.Id, entries => entries.Length > 0);
        await anna.SignalAsync(other.Id, [9]);
        Assert.Equal([9], (byte[])(await ben.WaitAsync(nameof(IChatClient.Signaled)))[1]!);
        (await users[0].Http.DeleteAsync($"/v1/rooms/{other.Id}")).EnsureSuccessStatusCode();
        await UntilAsync(() => ben.Pushes(nameof(IChatClient.RoomChanged)).Any(push => Equals(push[0], other.Id) && Equals(push[1], RoomChange.Deleted)));
        (await users[1].Http.PostAsync("/v1/auth/logout", null)).EnsureSuccessStatusCode();
        await ben.Closed.Task.WaitAsync(TimeSpan.FromSeconds(2));
    }

    [Fact]
    public async Task What_is_committed_on_one_node_waits_for_no_sweep_of_the_other()
    {
        var users = await first.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var reader = await users[1].ConnectAsync(node: second.Url);
        var writers = new[] { await users[0].ConnectAsync(), await users[0].ConnectAsync() };
        var sent = 0;
        // One at a time, and so many that the writer leaves its writes to others.
        foreach (var atOnce in new[] { 1, 100 })
        {
            var times = new List<double>();
            for (var round = 0; round < 11; round++)
            {
                var watch = Stopwatch.StartNew();
                await Task.WhenAll(Enumerable.Range(0, atOnce).Select(i => writers[i % 2].SendAsync(room.Id, [1])));
                sent += atOnce;
                await reader.WaitAsync(room.Id, entries => entries.Length == sent);
                times.Add(watch.Elapsed.TotalMilliseconds);
                // Until a tail that had to read looks no more whether the log goes on; else it would find the next by itself.
                await Task.Delay(200);
            }

            // A sweep comes every two seconds, and each of these would wait for the next.
            Assert.True(times.Order().ElementAt(5) < 1000, $"{atOnce} at once: {string.Join(", ", times.Select(time => $"{time:F0}"))} ms");
        }
    }

    [Fact]
    public async Task Who_came_and_went_while_another_node_had_no_database_is_told_of_it_afterwards()
    {
        var role = $"node_{Guid.NewGuid():N}";
        await first.Database.ExecuteAsync($"create role {role} superuser login", null, CancellationToken.None);
        var connection = new NpgsqlConnectionStringBuilder(first.PostgresConnection) { Username = role };
        await using var third = await first.AnotherNodeAsync($"--ConnectionStrings:Redis={redis.ConnectionString}", $"--ConnectionStrings:Postgres={connection}");
        await UntilAsync(() => third.Services.GetRequiredService<NodeBus>().IsHealthy);
        var users = await first.SignUpAsync(2);
        var ben = await users[1].ConnectAsync(node: third.Url);
        var anna = await users[0].ConnectAsync();
        var room = await users[0].CreateRoomAsync([]);
        await first.Database.ExecuteAsync($"alter role {role} nologin", null, CancellationToken.None);
        await first.Database.ExecuteAsync($"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'", null, CancellationToken.None);
        (await users[0].Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/members", new AddMemberRequest(users[1].Username), Wire.Json)).EnsureSuccessStatusCode();
        await anna.SendAsync(room.Id, [1]);
        (await users[0].Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{users[1].Id}")).EnsureSuccessStatusCode();
        await Task.Delay(3000);
        Assert.Empty(ben.Received(room.Id));
        // Twice a second at most, and once a hint.
        Assert.InRange(third.Logs.Count(line => line.Contains("sweep of the logs", StringComparison.Ordinal)), 1, 20);
        await first.Database.ExecuteAsync($"alter role {role} login", null, CancellationToken.None);
        var received = await ben.WaitAsync(room.Id, entries => entries.Length == 3);
        Assert.Equal([EntryKind.MemberJoined, EntryKind.Message, EntryKind.MemberLeft], received.Select(entry => entry.Kind));
    }

    [Fact]
    public async Task A_paused_redis_holds_up_no_sender_of_much()
    {
        var users = await first.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync(messagePack: true);
        redis.Pause();
        var slowest = 0.0;
        var sent = 0;
        // More than sockets hold.
        for (var i = 0; i < 100; i++)
        {
            var watch = Stopwatch.StartNew();
            var results = await writer.SendBatchAsync([.. Enumerable.Range(0, 7).Select(_ => new SendRequest(room.Id, Guid.NewGuid(), new byte[32 * 1024]))]);
            slowest = Math.Max(slowest, watch.Elapsed.TotalMilliseconds);
            Assert.All(results, result => Assert.Null(result.Error));
            sent += results.Length;
        }

        redis.Resume();
        Assert.True(slowest < 2000, $"{slowest} ms");
        await HealthyAsync(true);
        // Not pushed: so much at once is more than may wait for a client.
        var reader = await users[1].ConnectAsync(node: second.Url);
        var stored = new List<LogEntry>();
        for (LogEntry[]? page = null; page is not []; stored.AddRange(page))
            page = (await reader.SyncAsync(room.Id, stored.LastOrDefault()?.Seq ?? 0)).Entries;
        var seqs = stored.Where(entry => entry.Kind == EntryKind.Message).Select(entry => entry.Seq).ToArray();
        Assert.Equal(Enumerable.Range((int)seqs[0], sent).Select(seq => (long)seq), seqs);
        var last = await writer.SendAsync(room.Id, [1]);
        await reader.WaitAsync(room.Id, entries => entries.Length > 0 && entries[^1].Seq == last.Seq);
    }

    [Fact]
    public async Task A_paused_redis_holds_no_sender_up()
    {
        await using var anna = await first.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync();
        var calm = await MeasureAsync();
        redis.Pause();
        var paused = await MeasureAsync();
        redis.Resume();
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
    public async Task Nodes_that_do_not_fit_together_refuse_to_start()
    {
        using var directory = new TestDirectory();
        await using var lonely = new ServerProcess(directory.Path, null, $"--ConnectionStrings:Redis={redis.ConnectionString}");
        lonely.Launch();
        await lonely.ExitedAsync();
        Assert.Equal(1, lonely.ExitCode);
        Assert.Contains(lonely.Output, line => line.Contains("set ConnectionStrings:Postgres", StringComparison.Ordinal));

        using var third = new TestDirectory();
        await using var confused = new ServerProcess(third.Path, first.PostgresConnection, "--ConnectionStrings:Redis=redis://user:secret@redis:6379");
        confused.Launch();
        await confused.ExitedAsync();
        Assert.Equal(1, confused.ExitCode);
        Assert.Contains(confused.Output, line => line.Contains("ConnectionStrings:Redis is not", StringComparison.Ordinal));
        Assert.DoesNotContain(confused.Output, line => line.Contains("secret", StringComparison.Ordinal));

        using var other = new TestDirectory();
        await using var stranger = new ServerProcess(other.Path, first.PostgresConnection);
        stranger.Launch();
        await stranger.ExitedAsync();
        Assert.Equal(1, stranger.ExitCode);
        Assert.Contains(stranger.Output, line => line.Contains("Server:KeyDirectory", StringComparison.Ordinal));
        Assert.DoesNotContain(stranger.Output, line => line.StartsWith("   at ", StringComparison.Ordinal));
    }

    /// <summary>Redis is killed and started, paused and resumed, and killed twice in a row; each time the nodes find one another again.</summary>
    private async Task SufferAsync()
    {
        await Task.Delay(500);
        await redis.KillAsync();
        await Task.Delay(3000);
        await redis.StartAsync();
        await HealthyAsync(true);

        await Task.Delay(500);
        redis.Pause();
        await Task.Delay(3000);
        redis.Resume();
        await HealthyAsync(true);

        await Task.Delay(500);
        for (var i = 0; i < 2; i++)
        {
            await redis.KillAsync();
            await redis.StartAsync();
        }

        await Task.Delay(3000);
        await HealthyAsync(true);
    }

    private Task HealthyAsync(bool healthy) =>
        UntilAsync(() => new[] { first, second }.All(node => node.Services.GetRequiredService<NodeBus>().IsHealthy == healthy));

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (var watch = Stopwatch.StartNew(); !condition(); await Task.Delay(20))
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20), "Waited 20 s in vain.");
    }
}
