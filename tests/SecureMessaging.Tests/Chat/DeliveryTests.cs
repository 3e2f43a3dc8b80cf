using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Chat;

public abstract class DeliveryTests(TestServer server)
{
    [Fact]
    public async Task Every_connection_of_every_member_sees_one_gapless_log()
    {
        var users = await server.SignUpAsync(4);
        var room = await users[0].CreateRoomAsync(users[1..]);
        var connections = new List<TestConnection>();
        foreach (var user in users)
            connections.AddRange([await user.ConnectAsync(), await user.ConnectAsync(messagePack: true)]);
        await Task.WhenAll(connections.Select(async connection =>
        {
            for (var i = 0; i < 25; i++)
                await connection.SendAsync(room.Id, Guid.NewGuid().ToByteArray());
        }));
        var expected = (await connections[0].SyncAsync(room.Id, 4)).Entries.Select(entry => (entry.Seq, entry.Id)).ToArray();
        Assert.Equal(200, expected.Length);
        foreach (var connection in connections)
            Assert.Equal(expected, (await connection.WaitAsync(room.Id, entries => entries.Length >= 200)).Select(entry => (entry.Seq, entry.Id)));
    }

    [Fact]
    public async Task Joining_and_leaving_take_effect_at_their_place_in_the_log()
    {
        var users = await server.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([]);
        var writer = await users[0].ConnectAsync();
        var guest = await users[1].ConnectAsync();
        using var stop = new CancellationTokenSource();
        var writing = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
                await writer.SendAsync(room.Id, [1]);
        });
        var stays = new List<(long From, long To)>();
        for (var round = 0; round < 10; round++)
        {
            (await users[0].Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/members", new AddMemberRequest(users[1].Username), Wire.Json)).EnsureSuccessStatusCode();
            await guest.WaitAsync(room.Id, entries => entries.Count(entry => entry.Kind == EntryKind.MemberJoined) == round + 1);
            (await users[0].Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{users[1].Id}")).EnsureSuccessStatusCode();
        }

        await stop.CancelAsync();
        await writing;
        var log = new List<LogEntry>();
        for (LogPage page; (page = await writer.SyncAsync(room.Id, log.Count)).Entries.Length > 0;)
            log.AddRange(page.Entries);
        var inside = false;
        var expected = new List<long>();
        foreach (var entry in log)
        {
            var about = entry.UserId == users[1].Id;
            inside |= about && entry.Kind == EntryKind.MemberJoined;
            if (inside)
                expected.Add(entry.Seq);
            inside &= !(about && entry.Kind == EntryKind.MemberLeft);
        }

        var received = await guest.WaitAsync(room.Id, entries => entries.Length >= expected.Count);
        Assert.Equal(expected, received.Select(entry => entry.Seq));
        Assert.Equal(10, guest.Pushes(nameof(IChatClient.RoomChanged)).Count(push => Equals(push[1], RoomChange.Left)));
    }

    [Fact]
    public async Task Reconnecting_while_others_write_leaves_no_gap_between_history_and_pushes()
    {
        var users = await server.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync();
        using var stop = new CancellationTokenSource();
        var writing = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
                await writer.SendAsync(room.Id, [1]);
        });
        for (var round = 0; round < 60; round++)
        {
            await using var reader = new TestConnection(server.Url, () => users[1].Tokens.AccessToken, messagePack: round % 2 == 0);
            await reader.Hub.StartAsync();
            var head = (await reader.HeadsAsync()).Single().HeadSeq;
            var pushed = await reader.WaitAsync(room.Id, entries => entries.Length > 0 && entries[^1].Seq > head);
            Assert.True(pushed[0].Seq <= head + 1, $"history ends at {head}, pushes begin at {pushed[0].Seq}");
            Assert.Equal(Enumerable.Range(0, pushed.Length).Select(i => pushed[0].Seq + i), pushed.Select(entry => entry.Seq));
        }

        await stop.CancelAsync();
        await writing;
    }

    [Fact]
    public async Task Signals_reach_members_who_are_connected_and_nobody_else()
    {
        var users = await server.SignUpAsync(3);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var (anna, ben, carl) = (await users[0].ConnectAsync(), await users[1].ConnectAsync(messagePack: true), await users[2].ConnectAsync());
        await anna.SignalAsync(room.Id, [7]);
        Assert.Equal([7], (byte[])(await ben.WaitAsync(nameof(IChatClient.Signaled)))[1]!);
        Assert.Equal(ErrorCode.NotFound, await RefusalAsync(carl.SignalAsync(room.Id, [7])));
        Assert.Equal(ErrorCode.TooLarge, await RefusalAsync(anna.SignalAsync(room.Id, new byte[1025])));
        Assert.Equal(ErrorCode.Invalid, await RefusalAsync(anna.SignalAsync(room.Id, [])));
        Assert.Empty(carl.Pushes(nameof(IChatClient.Signaled)));
    }

    [Fact]
    public async Task A_deleted_room_is_announced()
    {
        var users = await server.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var ben = await users[1].ConnectAsync();
        (await users[0].Http.DeleteAsync($"/v1/rooms/{room.Id}")).EnsureSuccessStatusCode();
        Assert.Equal(RoomChange.Deleted, (await ben.WaitAsync(nameof(IChatClient.RoomChanged)))[1]);
    }

    [Fact]
    public async Task Ending_a_session_closes_its_sockets_and_no_others()
    {
        await using var anna = await server.SignUpAsync();
        var kept = await anna.ConnectAsync();
        var other = await anna.SignInAsync();
        await using var ended = new TestConnection(server.Url, () => other.AccessToken);
        await ended.Hub.StartAsync();
        await ended.HeadsAsync();
        (await anna.Http.DeleteAsync($"/v1/me/sessions/{other.SessionId}")).EnsureSuccessStatusCode();
        await ended.Closed.Task.WaitAsync(TimeSpan.FromSeconds(2));
        await kept.HeadsAsync();
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await using var again = new TestConnection(server.Url, () => other.AccessToken);
            await again.Hub.StartAsync();
        });
    }

    private static async Task<ErrorCode> RefusalAsync(Task call) => (await Assert.ThrowsAsync<HubError>(() => call)).Body.Code;
}

public sealed class DeliveryTestsOnSqlite(SqliteServer server) : DeliveryTests(server);

public sealed class DeliveryTestsOnPostgres(PostgresServer server) : DeliveryTests(server);
