using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Messages;

public abstract class LogTests(TestServer server)
{
    [Fact]
    public async Task Concurrent_senders_share_one_gapless_order()
    {
        var users = await server.SignUpAsync(5);
        var room = await users[0].CreateRoomAsync(users[1..]);
        var acks = await Task.WhenAll(users.Select(async user =>
        {
            var hub = await user.ConnectAsync(messagePack: user.Id.GetHashCode() % 2 == 0);
            var own = new List<SendAck>();
            for (var i = 0; i < 40; i++)
                own.Add(await hub.SendAsync(room.Id, [(byte)i, .. user.Id.ToByteArray()]));
            return own;
        }));
        Assert.Equal(Enumerable.Range(6, 200).Select(seq => (long)seq), acks.SelectMany(own => own).Select(ack => ack.Seq).Order());
        foreach (var own in acks)
            Assert.Equal(own.Select(ack => ack.Seq).Order(), own.Select(ack => ack.Seq));
        var page = await users[0].Http.GetFromJsonAsync<LogPage>($"/v1/rooms/{room.Id}/log?afterSeq=5&limit=500", Wire.Json);
        Assert.Equal(acks.SelectMany(own => own).OrderBy(ack => ack.Seq).Select(ack => ack.ClientMessageId), page!.Entries.Select(entry => entry.Id!.Value));
        Assert.All(page.Entries, entry => Assert.Null(entry.SenderId));
    }

    [Fact]
    public async Task A_retried_send_returns_the_first_ack_and_other_bytes_are_rejected()
    {
        var (anna, ben, room) = await TwoAsync();
        var hub = await anna.ConnectAsync();
        var request = new SendRequest(room.Id, Guid.NewGuid(), [1, 2, 3]);
        var first = await hub.SendAsync(request);
        var again = await hub.SendAsync(request);
        Assert.Equal(first with { Duplicate = true }, again);
        using var byRest = await anna.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/messages", request, Wire.Json);
        Assert.Equal(again, await byRest.ReadAsync<SendAck>());

        Assert.Equal(ErrorCode.Conflict, await RefusalAsync(hub.SendAsync(request with { Ciphertext = [1, 2, 4] })));
        var bens = await ben.ConnectAsync();
        Assert.Equal(ErrorCode.Conflict, await RefusalAsync(bens.SendAsync(request)));
        Assert.Equal(3, (await hub.SyncAsync(room.Id)).HeadSeq);
    }

    [Fact]
    public async Task Concurrent_retries_of_a_send_store_it_once()
    {
        var (anna, _, room) = await TwoAsync();
        var requests = Enumerable.Range(0, 20).Select(i => new SendRequest(room.Id, Guid.NewGuid(), [(byte)i])).ToArray();
        var acks = await Task.WhenAll(requests.SelectMany(request => Enumerable.Range(0, 8).Select(async _ =>
        {
            using var response = await anna.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/messages", request, Wire.Json);
            return await response.ReadAsync<SendAck>();
        })));
        Assert.Equal(20, acks.Count(ack => !ack.Duplicate));
        Assert.All(acks.GroupBy(ack => ack.ClientMessageId), same => Assert.Single(same.Select(ack => ack.Seq).Distinct()));
        Assert.Equal(22, (await anna.Http.GetFromJsonAsync<LogPage>($"/v1/rooms/{room.Id}/log", Wire.Json))!.HeadSeq);
    }

    [Fact]
    public async Task A_batch_keeps_its_order_and_each_send_fails_alone()
    {
        var (anna, _, room) = await TwoAsync();
        var hub = await anna.ConnectAsync();
        SendRequest Request(params byte[] bytes) => new(room.Id, Guid.NewGuid(), bytes);
        var twice = Request(5);
        var results = await hub.SendBatchAsync(
            Request(1), Request(), Request(new byte[32 * 1024 + 1]), Request(2), Request(3) with { RoomId = Guid.NewGuid() }, twice, twice,
            Request(6) with { Epoch = 1 });
        Assert.Equal(
            [null, ErrorCode.Invalid, ErrorCode.TooLarge, null, ErrorCode.NotFound, null, ErrorCode.Conflict, ErrorCode.WrongEpoch],
            results.Select(result => result.Error?.Code));
        Assert.Equal([3L, 4, 5], results.Where(result => result.Ack is not null).Select(result => result.Ack!.Seq));
        Assert.Equal(0, results[^1].Error!.CurrentEpoch);
        Assert.Equal(ErrorCode.Invalid, await RefusalAsync(hub.SendBatchAsync()));
        Assert.Equal(ErrorCode.Invalid, await RefusalAsync(hub.SendBatchAsync([.. Enumerable.Range(0, 65).Select(_ => Request(1))])));
        Assert.Equal(ErrorCode.TooLarge, await RefusalAsync(hub.SendBatchAsync([.. Enumerable.Range(0, 9).Select(_ => Request(new byte[32 * 1024]))])));
    }

    [Fact]
    public async Task A_ciphertext_may_have_exactly_the_limit()
    {
        var (anna, _, room) = await TwoAsync();
        foreach (var messagePack in new[] { false, true })
        {
            var hub = await anna.ConnectAsync(messagePack);
            await hub.SendAsync(room.Id, new byte[32 * 1024]);
            Assert.Equal(ErrorCode.TooLarge, await RefusalAsync(hub.SendAsync(room.Id, new byte[(32 * 1024) + 1])));
            Assert.Equal(ErrorCode.Invalid, await RefusalAsync(hub.SendAsync(room.Id, [])));
            Assert.Equal(ErrorCode.NotFound, await RefusalAsync(hub.SendAsync(Guid.NewGuid(), [1])));
            Assert.Equal(ErrorCode.Invalid, await RefusalAsync(hub.SendAsync(new SendRequest(room.Id, Guid.Empty, [1]))));
            Assert.Equal(ErrorCode.Invalid, await RefusalAsync(hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), [1], TimeToLiveSeconds: -1))));
        }
    }

    [Fact]
    public async Task Pages_are_contiguous_bounded_in_bytes_and_end_at_the_head()
    {
        var (anna, _, room) = await TwoAsync();
        var hub = await anna.ConnectAsync(messagePack: true);
        for (var i = 0; i < 40; i++)
            await hub.SendAsync(room.Id, new byte[32 * 1024]);
        var seqs = new List<long>();
        var pages = 0;
        for (LogPage page; (page = await hub.SyncAsync(room.Id, seqs.LastOrDefault())).Entries.Length > 0; pages++)
        {
            Assert.True(page.Entries.Sum(entry => entry.Ciphertext?.Length ?? 0) <= 1024 * 1024);
            seqs.AddRange(page.Entries.Select(entry => entry.Seq));
        }

        Assert.Equal(Enumerable.Range(1, 42).Select(seq => (long)seq), seqs);
        Assert.Equal(2, pages);
        Assert.Equal(ErrorCode.Invalid, await RefusalAsync(hub.SyncAsync(room.Id, -1)));
        Assert.Equal(ErrorCode.Invalid, await RefusalAsync(hub.SyncAsync(room.Id, 0, 0)));
        Assert.Empty((await hub.SyncAsync(room.Id, (1L << 53) - 1)).Entries);
    }

    [Fact]
    public async Task Only_the_sender_redacts_and_the_content_is_deleted()
    {
        var (anna, ben, room) = await TwoAsync();
        var hub = await anna.ConnectAsync();
        var request = new SendRequest(room.Id, Guid.NewGuid(), [9, 9, 9]);
        var ack = await hub.SendAsync(request);
        await (await ben.Http.DeleteAsync($"/v1/rooms/{room.Id}/messages/{ack.Seq}")).ReadErrorAsync(403, ErrorCode.Forbidden);
        await (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/messages/1")).ReadErrorAsync(403, ErrorCode.Forbidden);
        await (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/messages/99")).ReadErrorAsync(404, ErrorCode.NotFound);
        var retraction = await hub.RetractAsync(room.Id, ack.Seq);
        Assert.False(retraction.Duplicate);
        Assert.Equal(retraction with { Duplicate = true }, await hub.RetractAsync(room.Id, ack.Seq));
        var page = await hub.SyncAsync(room.Id, 2);
        Assert.Equal([EntryKind.Gone, EntryKind.Retraction], page.Entries.Select(entry => entry.Kind));
        Assert.Equal((null, ack.Seq), (page.Entries[0].Ciphertext, page.Entries[1].TargetSeq!.Value));
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from entries where room_id = @Id and ciphertext is not null", new { room.Id }));
        // A retry in flight during the redaction does not restore the entry.
        Assert.Equal((ack.Seq, true), ((await hub.SendAsync(request)).Seq, (await hub.SendAsync(request)).Duplicate));
    }

    [Fact]
    public async Task Visible_rooms_store_the_sender_and_sealed_rooms_do_not()
    {
        var (anna, ben, room) = await TwoAsync();
        var visible = await anna.CreateRoomAsync([ben], visible: true);
        var hub = await anna.ConnectAsync();
        var bens = await ben.ConnectAsync(messagePack: true);
        await hub.SendAsync(visible.Id, [1]);
        await hub.SendAsync(room.Id, [1]);
        Assert.Equal(anna.Id, (await bens.WaitAsync(visible.Id, entries => entries.Length > 0))[0].SenderId);
        Assert.Null((await bens.WaitAsync(room.Id, entries => entries.Length > 0))[0].SenderId);
        Assert.Equal(anna.Id, (await bens.SyncAsync(visible.Id, 2)).Entries[0].SenderId);
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from entries where room_id = @Id and sender_id is not null", new { room.Id }));
    }

    [Fact]
    public async Task Delivery_cursors_move_forward_and_count_what_is_unread()
    {
        var (anna, ben, room) = await TwoAsync();
        var hub = await anna.ConnectAsync();
        var bens = await ben.ConnectAsync();
        for (var i = 0; i < 5; i++)
            await hub.SendAsync(room.Id, [1]);
        async Task<(long, long)> Ben() => (await bens.HeadsAsync()).Where(head => head.RoomId == room.Id).Select(head => (head.DeliveredSeq, head.Unread))
            .Single();
        Assert.Equal((2L, 5L), await Ben());
        await bens.MarkDeliveredAsync(room.Id, 5);
        Assert.Equal((5L, 2L), await Ben());
        await bens.MarkDeliveredAsync(room.Id, 3);
        await bens.MarkDeliveredAsync(room.Id, 1000);
        Assert.Equal((5L, 2L), await Ben());
    }

    [Fact]
    public async Task Stored_times_are_whole_minutes()
    {
        var (anna, _, room) = await TwoAsync();
        var hub = await anna.ConnectAsync();
        var ack = await hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), [1], TimeToLiveSeconds: 90));
        var entry = (await hub.SyncAsync(room.Id, 2)).Entries.Single();
        Assert.Equal(DateTimeKind.Utc, entry.CreatedAt.Kind);
        Assert.Equal((0L, 0L), (entry.CreatedAt.Ticks % TimeSpan.TicksPerMinute, entry.ExpiresAt!.Value.Ticks % TimeSpan.TicksPerMinute));
        Assert.Equal(ack.CreatedAt, entry.CreatedAt);
        Assert.InRange(entry.ExpiresAt.Value - entry.CreatedAt, TimeSpan.FromSeconds(90), TimeSpan.FromSeconds(181));
    }

    [Fact]
    public async Task A_user_who_was_removed_reads_on_to_the_own_leaving_and_nothing_else()
    {
        var (anna, ben, room) = await TwoAsync();
        var (hub, bens) = (await anna.ConnectAsync(), await ben.ConnectAsync());
        await hub.SendAsync(room.Id, [1]);
        (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{ben.Id}")).EnsureSuccessStatusCode();
        await hub.SendAsync(room.Id, [2]);
        var page = await bens.SyncAsync(room.Id, 2);
        Assert.Equal([(3L, EntryKind.Message), (4, EntryKind.MemberLeft)], page.Entries.Select(entry => (entry.Seq, entry.Kind)));
        Assert.Equal((4L, 2L), (page.HeadSeq, page.FirstSeq));
        Assert.Equal([3L], (await bens.SyncAsync(room.Id, 2, 1)).Entries.Select(entry => entry.Seq));
        foreach (var after in new[] { 4L, 5, 100 })
        {
            var end = await bens.SyncAsync(room.Id, after);
            Assert.Equal((4L, 0), (end.HeadSeq, end.Entries.Length));
        }

        // Not from a place before the membership, not for others, and by no other call.
        Assert.Equal(ErrorCode.NotFound, await RefusalAsync(bens.SyncAsync(room.Id, 1)));
        var stranger = await (await server.SignUpAsync()).ConnectAsync();
        Assert.Equal(ErrorCode.NotFound, await RefusalAsync(stranger.SyncAsync(room.Id, 2)));
        Assert.DoesNotContain(room.Id, (await bens.HeadsAsync()).Select(head => head.RoomId));
        Assert.Equal(ErrorCode.NotFound, await RefusalAsync(bens.SendAsync(room.Id, [3])));
        Assert.Equal(ErrorCode.NotFound, await RefusalAsync(bens.MarkDeliveredAsync(room.Id, 4)));
        await (await ben.Http.GetAsync($"/v1/rooms/{room.Id}/log?afterSeq=2")).ReadErrorAsync(404, ErrorCode.NotFound);
    }

    [Fact]
    public async Task A_user_who_was_removed_twice_reads_the_last_membership_only()
    {
        var (anna, ben, room) = await TwoAsync();
        var (hub, bens) = (await anna.ConnectAsync(), await ben.ConnectAsync());
        async Task RemoveAsync() => (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{ben.Id}")).EnsureSuccessStatusCode();
        await RemoveAsync();
        await hub.SendAsync(room.Id, [1]);
        using var added = await anna.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/members", new AddMemberRequest(UserId: ben.Id), Wire.Json);
        added.EnsureSuccessStatusCode();
        await hub.SendAsync(room.Id, [2]);
        Assert.Equal([5L, 6], (await bens.SyncAsync(room.Id, 2)).Entries.Select(entry => entry.Seq));
        await RemoveAsync();
        Assert.Equal(ErrorCode.NotFound, await RefusalAsync(bens.SyncAsync(room.Id, 2)));
        Assert.Equal(ErrorCode.NotFound, await RefusalAsync(bens.SyncAsync(room.Id, 4)));
        var page = await bens.SyncAsync(room.Id, 5);
        Assert.Equal([6L, 7], page.Entries.Select(entry => entry.Seq));
        Assert.Equal((7L, 5L), (page.HeadSeq, page.FirstSeq));
        (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}")).EnsureSuccessStatusCode();
        Assert.Equal(ErrorCode.NotFound, await RefusalAsync(bens.SyncAsync(room.Id, 5)));
    }

    private static async Task<ErrorCode> RefusalAsync(Task call) => (await Assert.ThrowsAsync<HubError>(() => call)).Body.Code;

    private async Task<(TestUser Anna, TestUser Ben, Room Room)> TwoAsync()
    {
        var users = await server.SignUpAsync(2);
        return (users[0], users[1], await users[0].CreateRoomAsync([users[1]]));
    }
}

public sealed class LogTestsOnSqlite(SqliteServer server) : LogTests(server);

public sealed class LogTestsOnPostgres(PostgresServer server) : LogTests(server);
