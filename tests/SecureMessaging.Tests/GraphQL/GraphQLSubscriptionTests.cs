using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>Live queries: missed entries, then live ones, without gap or duplicate, and none after a removal.</summary>
public abstract class GraphQLSubscriptionTests(TestServer server)
{
    internal const string Room =
        "subscription($id: ID!, $after: Long) { roomEntries(roomId: $id, afterSeq: $after) { entries { seq kind userId } headSeq firstSeq } }";
    internal const string Rooms = "subscription($after: [RoomCursorInput!]) { entries(after: $after) { roomId entries { seq kind userId } headSeq firstSeq } }";
    internal const string Changes = "subscription($known: [ID!]) { roomChanges(known: $known) { roomId change room { role } } }";

    [Trait("Ring", "Full")]
    [Fact]
    public async Task Replay_and_live_entries_join_without_gap_or_duplicate_under_writes()
    {
        var users = await server.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync();
        await using var writing = new SteadyWriter(writer, room.Id);
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, users[1].Tokens.AccessToken);
        for (var round = 0; round < 20; round++)
        {
            long after = round % 5;
            var head = (await writer.SyncAsync(room.Id, 0, 1)).HeadSeq;
            var subscription = await socket.SubscribeAsync(Room, new { id = room.Id, after });
            var entries = await subscription.EntriesAsync("roomEntries", known => known.Count > 0 && known[^1].GetProperty("seq").GetInt64() > head + 20);
            await socket.SendAsync(new { type = "complete", id = subscription.Id });
            // Seq 1 is from before the reader joined.
            Assert.Equal(
                Enumerable.Range(0, entries.Count).Select(i => Math.Max(after, 1) + 1 + i), entries.Select(entry => entry.GetProperty("seq").GetInt64()));
        }

        await writing.StopAsync();
    }

    [Fact]
    public async Task A_reader_that_pauses_misses_nothing()
    {
        var users = await server.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync(messagePack: true);
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, users[1].Tokens.AccessToken);
        var subscription = await socket.SubscribeAsync(
            "subscription($id: ID!) { roomEntries(roomId: $id, afterSeq: 2) { entries { seq ciphertext } } }", new { id = room.Id });
        socket.Pause();
        // Far more than the socket buffers and the feed's bound together.
        for (var i = 0; i < 60; i++)
            await writer.SendBatchAsync([.. Enumerable.Range(0, 8).Select(_ => new SendRequest(room.Id, Guid.NewGuid(), new byte[32 * 1024]))]);
        socket.Resume();
        var entries = await subscription.EntriesAsync("roomEntries", known => known.Count >= 480);
        Assert.Equal(Enumerable.Range(3, 480).Select(seq => (long)seq), entries.Select(entry => entry.GetProperty("seq").GetInt64()));
    }

    [Fact]
    public async Task All_rooms_are_followed_also_those_joined_meanwhile()
    {
        var users = await server.SignUpAsync(2);
        var (known, fresh) = (await users[0].CreateRoomAsync([users[1]]), await users[0].CreateRoomAsync([users[1]]));
        var writer = await users[0].ConnectAsync();
        foreach (var room in new[] { known, fresh })
            await writer.SendAsync(room.Id, [1]);
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, users[1].Tokens.AccessToken);
        var subscription = await socket.SubscribeAsync(Rooms, new { after = new[] { new { roomId = known.Id, afterSeq = 2 } } });
        var replayed = new[] { await subscription.NextAsync(), await subscription.NextAsync() }
            .ToDictionary(data => data.GetProperty("entries").GetProperty("roomId").GetGuid(), data =>
                GraphQLCalls.Seqs(data.GetProperty("entries").GetProperty("entries")));
        Assert.Equal([3], replayed[known.Id]);
        Assert.Equal([2, 3], replayed[fresh.Id]);

        var joined = await users[0].CreateRoomAsync([users[1]]);
        await writer.SendAsync(joined.Id, [1]);
        var seqs = await subscription.EntriesAsync("entries", entries => entries.Count >= 2);
        Assert.Equal([2, 3], seqs.Select(entry => entry.GetProperty("seq").GetInt64()));
        await users[0].RemoveMemberAsync(joined.Id, users[1]);
        await writer.SendAsync(joined.Id, [2]);
        await writer.SendAsync(known.Id, [2]);
        var rest = await subscription.EntriesAsync("entries", entries => entries.Count >= 2);
        Assert.Equal(
            [("MEMBER_LEFT", 4), ("MESSAGE", 4)], rest.Select(entry => (entry.GetProperty("kind").GetString()!, entry.GetProperty("seq").GetInt32())).Order());
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task Memberships_shorter_than_a_read_are_reported_once_and_in_order()
    {
        var users = await server.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([]);
        var writer = await users[0].ConnectAsync();
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, users[1].Tokens.AccessToken);
        var subscription = await socket.SubscribeAsync(Rooms, new { after = Array.Empty<object>() });
        for (var round = 0; round < 40; round++)
        {
            await users[0].AddMemberAsync(room.Id, users[1]);
            await writer.SendAsync(room.Id, [1]);
            await users[0].RemoveMemberAsync(room.Id, users[1]);
        }

        await users[0].AddMemberAsync(room.Id, users[1]);
        var last = (await writer.SendAsync(room.Id, [2])).Seq;
        var seqs = (await subscription.EntriesAsync("entries", entries => entries.Any(entry => entry.GetProperty("seq").GetInt64() == last)))
            .Select(entry => entry.GetProperty("seq").GetInt64()).ToArray();
        Assert.Equal(seqs.Distinct().Order(), seqs);
    }

    [Fact]
    public async Task A_removal_ends_the_room_right_after_its_entry()
    {
        var users = await server.SignUpAsync(2);
        var writer = await users[0].ConnectAsync();
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, users[1].Tokens.AccessToken);
        for (var round = 0; round < 10; round++)
        {
            var room = await users[0].CreateRoomAsync([users[1]]);
            await using var writing = new SteadyWriter(writer, room.Id);
            var subscription = await socket.SubscribeAsync(Room, new { id = room.Id, after = 0 });
            await subscription.NextAsync();
            await users[0].RemoveMemberAsync(room.Id, users[1]);
            var entries = await subscription.EntriesAsync("roomEntries", _ => false);
            await subscription.CompletedAsync();
            await writing.StopAsync();
            // The removal may overtake the replay; otherwise the last entry is the removal's.
            Assert.Empty(entries.SkipWhile(entry => entry.GetProperty("kind").GetString() != "MEMBER_LEFT").Skip(1));
            Assert.Equal(ErrorCode.NotFound, GraphQLCalls.CodeOf(Errors(await (await socket.SubscribeAsync(Room, new { id = room.Id })).ErrorAsync())));
        }
    }

    [Fact]
    public async Task Room_changes_are_replayed_relative_to_the_clients_state()
    {
        var users = await server.SignUpAsync(2);
        var (known, news) = (await users[0].CreateRoomAsync([users[1]]), await users[0].CreateRoomAsync([users[1]]));
        var gone = Guid.NewGuid();
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, users[1].Tokens.AccessToken);
        var subscription = await socket.SubscribeAsync(Changes, new { known = new[] { known.Id, gone } });
        Assert.Equal((news.Id, "JOINED"), Change(await subscription.NextAsync()));
        Assert.Equal((gone, "LEFT"), Change(await subscription.NextAsync()));
        var joined = await users[0].CreateRoomAsync([users[1]]);
        var change = await subscription.NextAsync();
        Assert.Equal((joined.Id, "JOINED"), Change(change));
        Assert.Equal("MEMBER", change.GetProperty("roomChanges").GetProperty("room").GetProperty("role").GetString());
        await users[0].RemoveMemberAsync(joined.Id, users[1]);
        Assert.Equal((joined.Id, "LEFT"), Change(await subscription.NextAsync()));
        (await users[0].Http.DeleteAsync($"/v1/rooms/{known.Id}")).EnsureSuccessStatusCode();
        change = await subscription.NextAsync();
        Assert.Equal((known.Id, "DELETED"), Change(change));
        Assert.Equal(JsonValueKind.Null, change.GetProperty("roomChanges").GetProperty("room").ValueKind);

        static (Guid, string) Change(JsonElement data) =>
            (data.GetProperty("roomChanges").GetProperty("roomId").GetGuid(), data.GetProperty("roomChanges").GetProperty("change").GetString()!);
    }

    [Theory]
    [InlineData(-1L)]
    [InlineData(100L)]
    public async Task An_impossible_cursor_is_rejected(long after)
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, anna.Tokens.AccessToken);
        var subscription = await socket.SubscribeAsync(Room, new { id = room.Id, after });
        Assert.Equal(ErrorCode.Invalid, GraphQLCalls.CodeOf(Errors(await subscription.ErrorAsync())));
    }

    internal static JsonElement Errors(JsonElement errors) => JsonSerializer.SerializeToElement(new { errors });
}

public sealed class GraphQLSubscriptionTestsOnSqlite(SqliteServer server) : GraphQLSubscriptionTests(server);

public sealed class GraphQLSubscriptionTestsOnPostgres(PostgresServer server) : GraphQLSubscriptionTests(server);
