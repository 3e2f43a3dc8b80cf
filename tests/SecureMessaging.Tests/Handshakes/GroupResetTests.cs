using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Handshakes;

public abstract class GroupResetTests(TestServer server)
{
    [Fact]
    public async Task An_admins_report_resets_the_group()
    {
        var users = await server.SignUpAsync(3);
        var (anna, ben, carl) = (users[0], users[1], users[2]);
        using var bens = await ben.AddDeviceAsync();
        await bens.StockUpAsync(2);
        var room = await anna.CreateMlsRoomAsync(ben, carl);
        await (await ReportAsync(anna, room.Id, 1)).ReadErrorAsync(409, ErrorCode.Conflict);
        var hub = await carl.ConnectAsync(messagePack: true);
        var first = await carl.CommitAsync(room.Id, 0);
        var broken = await carl.CommitAsync(room.Id, 1, welcomes: [TestMls.Welcome((await carl.ClaimAsync(ben)).Single().KeyPackage)]);
        await (await ReportAsync(anna, room.Id, first.Seq)).ReadErrorAsync(409, ErrorCode.Conflict);
        await (await ReportAsync(anna, room.Id, broken.Seq + 1)).ReadErrorAsync(409, ErrorCode.Conflict);

        Assert.Equal(new InvalidCommitReport(true, 1), await (await ReportAsync(anna, room.Id, broken.Seq)).ReadAsync<InvalidCommitReport>());
        var reset = (await hub.WaitAsync(room.Id, entries => entries.Length == 3))[^1];
        Assert.Equal((EntryKind.GroupReset, 1, broken.Seq + 1), (reset.Kind, reset.Generation!.Value, reset.Seq));
        Assert.Equal(reset.Generation, (await hub.SyncAsync(room.Id)).Entries[^1].Generation);
        Assert.Empty(await bens.WelcomesAsync());
        var now = (await anna.Http.GetFromJsonAsync<Room>($"/v1/rooms/{room.Id}", Wire.Json))!;
        Assert.Equal((1, 0L), (now.Generation, now.Epoch));
        // A late report of the same commit gets the same response and resets nothing.
        Assert.Equal(new InvalidCommitReport(true, 1), await (await ReportAsync(ben, room.Id, broken.Seq)).ReadAsync<InvalidCommitReport>());

        foreach (var epoch in new[] { 0, 2 })
        {
            var old = new CommitRequest(Guid.NewGuid(), epoch, TestMls.Commit(room.Id, epoch));
            Assert.Equal(0, (await (await carl.Http.CommitAsync(room.Id, old)).ReadErrorAsync(409, ErrorCode.WrongEpoch)).CurrentEpoch);
        }

        await ben.CommitAsync(room.Id, 0, generation: 1);
        var stale = await Assert.ThrowsAsync<HubError>(
            () => hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), TestMls.Application(room.Id, 1), Epoch: 1)));
        Assert.Equal((ErrorCode.EpochTooOld, 1L), (stale.Body.Code, stale.Body.CurrentEpoch!.Value));
        await hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), TestMls.Application(room.Id, 1, generation: 1), Epoch: 1));
    }

    [Fact]
    public async Task Reports_of_more_than_half_of_the_members_reset_the_group_and_the_next_commit_clears_them()
    {
        var users = await server.SignUpAsync(5);
        var room = await users[0].CreateMlsRoomAsync(users[1..4]);
        var commit = await users[0].CommitAsync(room.Id, 0);
        foreach (var user in new[] { users[1], users[1], users[2] })
            Assert.Equal(new InvalidCommitReport(false, 0), await (await ReportAsync(user, room.Id, commit.Seq)).ReadAsync<InvalidCommitReport>());
        await (await ReportAsync(users[4], room.Id, commit.Seq)).ReadErrorAsync(404, ErrorCode.NotFound);
        // The first author must wait: two members have reported it.
        var next = await users[3].CommitAsync(room.Id, 1);
        foreach (var user in new[] { users[1], users[2] })
            Assert.False((await (await ReportAsync(user, room.Id, next.Seq)).ReadAsync<InvalidCommitReport>()).Reset);
        Assert.Equal(new InvalidCommitReport(true, 1), await (await ReportAsync(users[3], room.Id, next.Seq)).ReadAsync<InvalidCommitReport>());
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from commit_reports where room_id = @Id", new { room.Id }));
        await users[2].CommitAsync(room.Id, 0, generation: 1);
        var opaque = await users[0].CreateRoomAsync([]);
        await (await ReportAsync(users[0], opaque.Id, 1)).ReadErrorAsync(409, ErrorCode.Conflict);
    }

    [Fact]
    public async Task Simultaneous_reports_reset_the_group_once()
    {
        var users = await server.SignUpAsync(6);
        var room = await users[0].CreateMlsRoomAsync(users[1..]);
        var commit = await users[0].CommitAsync(room.Id, 0);
        var replies = await Task.WhenAll(users.Select(user => ReportAsync(user, room.Id, commit.Seq)));
        var reports = await Task.WhenAll(replies.Select(reply => reply.ReadAsync<InvalidCommitReport>()));
        Assert.Contains(reports, report => report.Reset);
        Assert.All(reports.Where(report => report.Reset), report => Assert.Equal(1, report.Generation));
        var log = await (await users[1].ConnectAsync()).SyncAsync(room.Id);
        Assert.Single(log.Entries, entry => entry.Kind == EntryKind.GroupReset);
    }

    private static Task<HttpResponseMessage> ReportAsync(TestUser user, Guid roomId, long seq) =>
        user.Http.PostAsJsonAsync($"/v1/rooms/{roomId}/invalid-commits", new ReportInvalidCommitRequest(seq), Wire.Json);
}

public sealed class GroupResetTestsOnSqlite(SqliteServer server) : GroupResetTests(server);

public sealed class GroupResetTestsOnPostgres(PostgresServer server) : GroupResetTests(server);
