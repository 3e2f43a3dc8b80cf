using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Privacy;

/// <summary>The delivery cursor tells how far its owner has received a room, and an account can turn it off.</summary>
public abstract class DeliveryCursorTests(TestServer server)
{
    private const string StoredSql = "select count(*) from room_members where user_id = @Id and delivered_seq <> joined_seq";

    [Fact]
    public async Task An_account_without_a_delivery_cursor_leaves_none_in_the_database()
    {
        var users = await server.SignUpAsync(2);
        var (anna, ben) = (users[0], users[1]);
        Assert.True((await PrivacyAsync(anna)).DeliveryCursor);
        var room = await anna.CreateRoomAsync([ben]);
        var later = await anna.CreateRoomAsync([ben]);
        await MarkAsync(anna, room);
        await MarkAsync(ben, room);
        Assert.Equal(1, await StoredAsync(anna));

        await ChangeAsync(anna, deliveryCursor: false);
        Assert.Equal(0, await StoredAsync(anna));
        await MarkAsync(anna, room);
        await MarkAsync(anna, later);
        Assert.Equal(0, await StoredAsync(anna));
        // Others keep theirs.
        Assert.Equal(1, await StoredAsync(ben));
        Assert.False((await PrivacyAsync(anna)).DeliveryCursor);
        var head = (await anna.Http.GetFromJsonAsync<RoomHead[]>("/v1/rooms/heads", Wire.Json))!.Single(each => each.RoomId == room.Id);
        Assert.Equal(head.HeadSeq - head.DeliveredSeq, head.Unread);

        await ChangeAsync(anna, deliveryCursor: true);
        await MarkAsync(anna, room);
        Assert.Equal(1, await StoredAsync(anna));
    }

    [Fact]
    public async Task The_delivery_cursor_is_turned_off_over_GraphQL_too()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        await MarkAsync(anna, room);
        await anna.Http.AskAsync("mutation { changePrivacy(deliveryCursor: false) }");
        Assert.False((await anna.Http.AskAsync("{ privacy { deliveryCursor } }")).GetProperty("privacy").GetProperty("deliveryCursor").GetBoolean());
        Assert.Equal(0, await StoredAsync(anna));
        using var response = await anna.Http.PutAsJsonAsync("/v1/me/privacy", new { }, Wire.Json);
        await response.ReadErrorAsync(400, ErrorCode.Invalid);
    }

    [Fact]
    public async Task A_simultaneous_report_stores_no_cursor_after_it_was_turned_off()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var connection = await anna.ConnectAsync();
        for (var round = 0; round < 20; round++)
        {
            var ack = await connection.SendAsync(room.Id, [1]);
            await Task.WhenAll(
                [ChangeAsync(anna, deliveryCursor: false), .. Enumerable.Range(0, 4).Select(_ => MarkAsync(anna, room, ack.Seq))]);
            Assert.Equal(0, await StoredAsync(anna));
            await ChangeAsync(anna, deliveryCursor: true);
        }
    }

    private static async Task<PrivacySettings> PrivacyAsync(TestUser user) => (await user.Http.GetFromJsonAsync<PrivacySettings>("/v1/me/privacy", Wire.Json))!;

    private static async Task ChangeAsync(TestUser user, bool deliveryCursor) =>
        Assert.Equal(204, (int)(await user.Http.PutAsJsonAsync("/v1/me/privacy", new PrivacySettings(deliveryCursor), Wire.Json)).StatusCode);

    /// <summary>Reports an entry as received; without a number a new message.</summary>
    private static async Task MarkAsync(TestUser user, Room room, long? seq = null)
    {
        seq ??= (await (await user.ConnectAsync()).SendAsync(room.Id, [1])).Seq;
        (await user.Http.PutAsJsonAsync($"/v1/rooms/{room.Id}/delivered", new MarkDeliveredRequest(seq.Value), Wire.Json)).EnsureSuccessStatusCode();
    }

    private Task<long> StoredAsync(TestUser user) => server.ScalarAsync<long>(StoredSql, new { user.Id });
}

public sealed class DeliveryCursorTestsOnSqlite(SqliteServer server) : DeliveryCursorTests(server);

public sealed class DeliveryCursorTestsOnPostgres(PostgresServer server) : DeliveryCursorTests(server);
