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
    public async Task Joins_and_leaves_take_effect_at_their_seq()
    {
        var users = await server.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([]);
        var writer = await users[0].ConnectAsync();
        var guest = await users[1].ConnectAsync();
        await using var writing = new SteadyWriter(writer, room.Id);
        for (var round = 0; round < 10; round++)
        {
            await users[0].AddMemberAsync(room.Id, users[1]);
            await guest.WaitAsync(room.Id, entries => entries.Count(entry => entry.Kind == EntryKind.MemberJoined) == round + 1);
            await users[0].RemoveMemberAsync(room.Id, users[1]);
        }

        await writing.StopAsync();
        var log = await writer.ReadLogAsync(room.Id);
        var expected = log.SeqsWithin(users[1]);
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
        await using var writing = new SteadyWriter(writer, room.Id);
        for (var round = 0; round < 60; round++)
        {
            await using var reader = new TestConnection(server.Url, () => users[1].Tokens.AccessToken, messagePack: round % 2 == 0);
            await reader.Hub.StartAsync();
            var head = (await reader.HeadsAsync()).Single().HeadSeq;
            var pushed = await reader.WaitAsync(room.Id, entries => entries.Length > 0 && entries[^1].Seq > head);
            Assert.True(pushed[0].Seq <= head + 1, $"history ends at {head}, pushes begin at {pushed[0].Seq}");
            Assert.Equal(Enumerable.Range(0, pushed.Length).Select(i => pushed[0].Seq + i), pushed.Select(entry => entry.Seq));
        }

        await writing.StopAsync();
    }

    [Fact]
    public async Task Signals_reach_only_connected_members()
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
    public async Task Ending_a_session_closes_only_its_own_WebSockets()
    {
        await using var anna = await server.SignUpAsync();
        var kept = await anna.ConnectAsync();
        var other = await anna.SignInAsync();
        await using var ended = new TestConnection(server.Url, () => other.AccessToken);
        await ended.Hub.StartAsync();
        await ended.HeadsAsync();
        (await anna.Http.DeleteAsync($"/v1/me/sessions/{other.SessionId}")).EnsureSuccessStatusCode();
        await ended.Closed.Task.WaitAsync(TimeSpan.FromSeconds(20));
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
