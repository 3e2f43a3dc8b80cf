using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Mls;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Handshakes;

public abstract class CommitTests(TestServer server)
{
    [Fact]
    public async Task A_commit_ends_an_epoch_with_its_roster_change_and_Welcomes()
    {
        var users = await server.SignUpAsync(3);
        var (anna, ben, carl) = (users[0], users[1], users[2]);
        using var annas = await anna.AddDeviceAsync();
        using var bens = await ben.AddDeviceAsync();
        using var carls = await carl.AddDeviceAsync();
        await bens.StockUpAsync(1);
        await carls.StockUpAsync(1);
        var room = await anna.CreateMlsRoomAsync(ben);
        Assert.Equal((Schemes.Mls10, 0L, 0), (room.Scheme, room.Epoch, room.Generation));
        var hub = await anna.ConnectAsync(messagePack: true);
        var carlsHub = await carl.ConnectAsync();

        var ack = await anna.CommitAsync(
            room.Id, 0, welcomes: [TestMls.Welcome([.. (await anna.ClaimAsync(ben, carl)).Select(package => package.KeyPackage)])],
            roster: new RosterChange([new AddMemberRequest(carl.Username)]));
        Assert.Equal((3L, 1L, false), (ack.Seq, ack.Epoch, ack.Duplicate));
        var pushed = await hub.WaitAsync(room.Id, entries => entries.Length == 2);
        Assert.Equal([(3L, EntryKind.Commit, 0L), (4, EntryKind.MemberJoined, 0)], pushed.Select(entry => (entry.Seq, entry.Kind, entry.Epoch)));
        // A new member sees nothing from before, and finds its Welcome.
        var joined = await carlsHub.WaitAsync(room.Id, entries => entries.Length == 1);
        Assert.Equal(EntryKind.MemberJoined, joined[0].Kind);
        Assert.Equal(carls.Id, (Guid)(await carlsHub.WaitAsync(nameof(IChatClient.WelcomesWaiting)))[0]!);
        var welcome = (await carls.WelcomesAsync()).Single();
        Assert.Equal((room.Id, 0, 3L), (welcome.RoomId, welcome.Generation, welcome.Seq));
        Assert.Equal(welcome.Message, (await bens.WelcomesAsync()).Single().Message);
        Assert.Empty(await annas.WelcomesAsync());
        for (var repeat = 0; repeat < 2; repeat++)
            (await carls.Http.DeleteAsync($"/v1/devices/{carls.Id}/welcomes/{room.Id}/3")).EnsureSuccessStatusCode();
        Assert.Empty(await carls.WelcomesAsync());
        Assert.Equal(1, await server.ScalarAsync<long>("select count(*) from welcomes where room_id = @Id", new { room.Id }));
        (await ben.Http.DeleteAsync($"/v1/devices/{bens.Id}/welcomes/{room.Id}/3")).EnsureSuccessStatusCode();
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from welcomes where room_id = @Id", new { room.Id }));

        ack = await anna.CommitAsync(room.Id, 1, roster: new RosterChange(Remove: [carl.Id]));
        Assert.Equal((5L, 2L), (ack.Seq, ack.Epoch));
        // A member who is removed receives the commit, to verify it, and nothing after its own leaving.
        var parted = await carlsHub.WaitAsync(room.Id, entries => entries.Length == 3);
        Assert.Equal([EntryKind.MemberJoined, EntryKind.Commit, EntryKind.MemberLeft], parted.Select(entry => entry.Kind));
        await hub.WaitAsync(room.Id, entries => entries.Length == 4 && entries[^1].Kind == EntryKind.MemberLeft);
        Assert.Equal(3, carlsHub.Received(room.Id).Length);
    }

    [Fact]
    public async Task A_retried_commit_returns_the_first_result_and_another_with_its_id_is_rejected()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var room = await anna.CreateMlsRoomAsync(ben);
        var request = new CommitRequest(Guid.NewGuid(), 0, TestMls.Commit(room.Id, 0));
        var first = await (await anna.Http.CommitAsync(room.Id, request)).ReadAsync<CommitAck>();
        await anna.CommitAsync(room.Id, 1);
        var again = await (await anna.Http.CommitAsync(room.Id, request)).ReadAsync<CommitAck>();
        Assert.Equal(first with { Duplicate = true }, again);
        await (await anna.Http.CommitAsync(room.Id, request with { Commit = TestMls.Commit(room.Id, 0) })).ReadErrorAsync(409, ErrorCode.Conflict);
        await (await ben.Http.CommitAsync(room.Id, request)).ReadErrorAsync(409, ErrorCode.Conflict);
        Assert.Equal(2, await server.ScalarAsync<long>("select epoch from rooms where id = @Id", new { room.Id }));
    }

    [Fact]
    public async Task Ten_simultaneous_retries_of_a_commit_store_it_once()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateMlsRoomAsync();
        var request = new CommitRequest(Guid.NewGuid(), 0, TestMls.Commit(room.Id, 0));
        var replies = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => anna.Http.CommitAsync(room.Id, request)));
        var acks = await Task.WhenAll(replies.Select(reply => reply.ReadAsync<CommitAck>()));
        Assert.Single(acks, ack => !ack.Duplicate);
        Assert.All(acks, ack => Assert.Equal((2L, 1L), (ack.Seq, ack.Epoch)));
        Assert.Equal(2, (await anna.Http.GetFromJsonAsync<Room>($"/v1/rooms/{room.Id}", Wire.Json))!.HeadSeq);
    }

    [Fact]
    public async Task A_losing_commit_gets_the_epoch_and_has_no_effect()
    {
        var users = await server.SignUpAsync(3);
        var (anna, ben, carl) = (users[0], users[1], users[2]);
        using var carls = await carl.AddDeviceAsync();
        await carls.StockUpAsync(2);
        var room = await anna.CreateMlsRoomAsync(ben);
        await ben.CommitAsync(room.Id, 0);
        var package = (await anna.ClaimAsync(carl)).Single().KeyPackage;
        var late = new CommitRequest(
            Guid.NewGuid(), 0, TestMls.Commit(room.Id, 0), [TestMls.Welcome(package)], new RosterChange([new AddMemberRequest(carl.Username)], [ben.Id]));
        var error = await (await anna.Http.CommitAsync(room.Id, late)).ReadErrorAsync(409, ErrorCode.WrongEpoch);
        Assert.Equal((1L, false), (error.CurrentEpoch, error.Retryable));
        Assert.Equal(1, (await (await anna.Http.CommitAsync(room.Id, late with { Epoch = 5, Commit = TestMls.Commit(room.Id, 5) }))
            .ReadErrorAsync(409, ErrorCode.WrongEpoch)).CurrentEpoch);
        Assert.Equal(3, (await anna.Http.GetFromJsonAsync<Room>($"/v1/rooms/{room.Id}", Wire.Json))!.HeadSeq);
        Assert.Empty(await carls.WelcomesAsync());
        Assert.Equal(2, (await anna.Http.GetFromJsonAsync<RoomMember[]>($"/v1/rooms/{room.Id}/members", Wire.Json))!.Length);
        // A Welcome for a device that must not get one rejects the winning commit too.
        var forStranger = late with { Epoch = 1, Commit = TestMls.Commit(room.Id, 1), Roster = null };
        await (await anna.Http.CommitAsync(room.Id, forStranger)).ReadErrorAsync(400, ErrorCode.Invalid);
        Assert.Equal(3, (await anna.Http.GetFromJsonAsync<Room>($"/v1/rooms/{room.Id}", Wire.Json))!.HeadSeq);
        await anna.CommitAsync(room.Id, 1);
    }

    [Fact]
    public async Task Framing_must_fit_the_room_the_epoch_and_the_kind()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateMlsRoomAsync();
        var good = TestMls.Commit(room.Id, 0);
        byte[][] wrong =
        [
            TestMls.Commit(Guid.NewGuid(), 0), TestMls.Commit(room.Id, 1), TestMls.Proposal(room.Id, 0), TestMls.Application(room.Id, 0),
            TestMls.PublicMessage(room.Id, 0), TestMls.WelcomeFor([new byte[32]]), good[..^1], [.. good, 0], [], [0], good[4..],
            TestMls.PrivateMessage(MlsContentType.Commit, room.Id.ToByteArray(bigEndian: true), 0), TestMls.PrivateMessage(MlsContentType.Commit, [], 0),
            TestMls.PrivateMessage((MlsContentType)4, TestMls.GroupId(room.Id), 0),
            TestMls.PrivateMessage(MlsContentType.Commit, TestMls.GroupId(room.Id, -1), 0),
        ];
        foreach (var commit in wrong)
            await (await anna.Http.CommitAsync(room.Id, new CommitRequest(Guid.NewGuid(), 0, commit))).ReadErrorAsync(400, ErrorCode.Invalid);
        await (await anna.Http.CommitAsync(room.Id, new CommitRequest(Guid.Empty, 0, good))).ReadErrorAsync(400, ErrorCode.Invalid);
        await (await anna.Http.CommitAsync(room.Id, new CommitRequest(Guid.NewGuid(), -1, good))).ReadErrorAsync(400, ErrorCode.Invalid);
        await (await anna.Http.CommitAsync(room.Id, new CommitRequest(Guid.NewGuid(), 0, TestMls.Commit(room.Id, 0, generation: 1))))
            .ReadErrorAsync(409, ErrorCode.WrongEpoch);
        var huge = TestMls.PrivateMessage(MlsContentType.Commit, TestMls.GroupId(room.Id), 0, Limits.Default.HandshakeBytes);
        await (await anna.Http.CommitAsync(room.Id, new CommitRequest(Guid.NewGuid(), 0, huge))).ReadErrorAsync(413, ErrorCode.TooLarge);
        var large = TestMls.PrivateMessage(MlsContentType.Commit, TestMls.GroupId(room.Id), 0, Limits.Default.HandshakeBytes - 100);
        Assert.Equal(1, (await (await anna.Http.CommitAsync(room.Id, new CommitRequest(Guid.NewGuid(), 0, large))).ReadAsync<CommitAck>()).Epoch);
        var opaque = await anna.CreateRoomAsync([]);
        await (await anna.Http.CommitAsync(opaque.Id, new CommitRequest(Guid.NewGuid(), 0, TestMls.Commit(opaque.Id, 0))))
            .ReadErrorAsync(409, ErrorCode.Conflict);
    }

    [Fact]
    public async Task Welcomes_must_be_complete_and_for_devices_of_members()
    {
        var users = await server.SignUpAsync(3);
        var (anna, ben, carl) = (users[0], users[1], users[2]);
        using var bens = await ben.AddDeviceAsync();
        using var bensSecond = await bens.AddDeviceAsync();
        using var carls = await carl.AddDeviceAsync();
        await bens.StockUpAsync(3);
        await bensSecond.StockUpAsync(1);
        await carls.StockUpAsync(1);
        var room = await anna.CreateMlsRoomAsync(ben);
        byte[] one = (await anna.ClaimAsync(ben)).Single(package => package.DeviceId == bens.Id).KeyPackage, two = (await anna.ClaimAsync(ben))
            .Single().KeyPackage;
        var foreign = (await anna.ClaimAsync(carl)).Single().KeyPackage;
        var good = TestMls.Welcome(one);
        byte[][][] wrong =
        [
            [good[..^1]], [[.. good, 0]], [[]], [one], [TestMls.WelcomeFor([])], [TestMls.WelcomeFor([new byte[32]])], [TestMls.WelcomeFor([new byte[31]])],
            [TestMls.WelcomeFor([TestMls.Reference(one)], suite: 2)], [TestMls.WelcomeFor([TestMls.Reference(one)], groupInfo: 0)], [TestMls.Welcome(one, one)],
            [TestMls.Welcome(one, two)], [good, TestMls.Welcome(two)], [TestMls.Welcome(one, foreign)],
        ];
        foreach (var welcomes in wrong)
            await (await anna.Http.CommitAsync(room.Id, new CommitRequest(Guid.NewGuid(), 0, TestMls.Commit(room.Id, 0), welcomes)))
                .ReadErrorAsync(400, ErrorCode.Invalid);
        // A member that the same commit removes cannot get a Welcome.
        var removing = new CommitRequest(Guid.NewGuid(), 0, TestMls.Commit(room.Id, 0), [good], new RosterChange(Remove: [ben.Id]));
        await (await anna.Http.CommitAsync(room.Id, removing)).ReadErrorAsync(400, ErrorCode.Invalid);
        await anna.CommitAsync(room.Id, 0, welcomes: [good]);
        Assert.Equal(good, (await bens.WelcomesAsync()).Single().Message);
        // Leaving deletes waiting Welcomes, also after a new join.
        await anna.RemoveMemberAsync(room.Id, ben);
        Assert.Empty(await bens.WelcomesAsync());
        await anna.AddMemberAsync(room.Id, ben);
        Assert.Empty(await bens.WelcomesAsync());
    }

    [Fact]
    public async Task The_roster_change_of_a_commit_obeys_the_rules_of_the_room()
    {
        var users = await server.SignUpAsync(4);
        var (owner, admin, member, other) = (users[0], users[1], users[2], users[3]);
        var room = await owner.CreateMlsRoomAsync(admin, member);
        (await owner.Http.PatchAsJsonAsync($"/v1/rooms/{room.Id}/members/{admin.Id}", new ChangeRoleRequest(RoomRole.Admin), Wire.Json))
            .EnsureSuccessStatusCode();
        async Task RefusedAsync(TestUser by, RosterChange change, int status, ErrorCode code) =>
            await (await by.Http.CommitAsync(room.Id, new CommitRequest(Guid.NewGuid(), 0, TestMls.Commit(room.Id, 0), null, change)))
                .ReadErrorAsync(status, code);

        await RefusedAsync(member, new RosterChange([new(other.Username)]), 403, ErrorCode.Forbidden);
        await RefusedAsync(member, new RosterChange(Remove: [admin.Id]), 403, ErrorCode.Forbidden);
        await RefusedAsync(admin, new RosterChange([new(other.Username, RoomRole.Admin)]), 403, ErrorCode.Forbidden);
        await RefusedAsync(admin, new RosterChange(Remove: [owner.Id]), 403, ErrorCode.Forbidden);
        await RefusedAsync(admin, new RosterChange(Remove: [admin.Id]), 400, ErrorCode.Invalid);
        await RefusedAsync(admin, new RosterChange([new(admin.Username)]), 400, ErrorCode.Invalid);
        await RefusedAsync(admin, new RosterChange([new(other.Username), new(other.Username.ToUpperInvariant())]), 400, ErrorCode.Invalid);
        await RefusedAsync(admin, new RosterChange([new(member.Username)], [member.Id]), 400, ErrorCode.Invalid);
        await RefusedAsync(admin, new RosterChange([new("unknown-user")]), 404, ErrorCode.NotFound);
        await RefusedAsync(other, new RosterChange([new(other.Username)]), 404, ErrorCode.NotFound);
        await RefusedAsync(other, new RosterChange([new("unknown-user")]), 404, ErrorCode.NotFound);
        await admin.CommitAsync(room.Id, 0, roster: new RosterChange([new(other.Username)], [member.Id, Guid.NewGuid()]));
        await (await member.Http.CommitAsync(room.Id, new CommitRequest(Guid.NewGuid(), 1, TestMls.Commit(room.Id, 1))))
            .ReadErrorAsync(404, ErrorCode.NotFound);
        await (await member.Http.GetAsync($"/v1/rooms/{room.Id}/log")).ReadErrorAsync(404, ErrorCode.NotFound);

        using var response = await owner.Http.PostAsJsonAsync("/v1/rooms", TestTrust.Direct(owner, other), Wire.Json);
        var direct = await response.ReadAsync<Room>();
        await owner.CommitAsync(direct.Id, 0);
        await (await owner.Http.CommitAsync(
            direct.Id, new CommitRequest(Guid.NewGuid(), 1, TestMls.Commit(direct.Id, 1), null, new RosterChange([new(admin.Username)]))))
            .ReadErrorAsync(409, ErrorCode.Conflict);
    }

    [Fact]
    public async Task Proposals_are_for_the_current_epoch_and_handshakes_cannot_be_retracted()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateMlsRoomAsync();
        await anna.CommitAsync(room.Id, 0);
        var request = new ProposalRequest(Guid.NewGuid(), 1, TestMls.Proposal(room.Id, 1));
        var path = $"/v1/rooms/{room.Id}/proposals";
        var ack = await (await anna.Http.PostAsJsonAsync(path, request, Wire.Json)).ReadAsync<SendAck>();
        Assert.Equal(3, ack.Seq);
        Assert.True((await (await anna.Http.PostAsJsonAsync(path, request, Wire.Json)).ReadAsync<SendAck>()).Duplicate);
        foreach (var epoch in new[] { 0, 2 })
        {
            var stale = new ProposalRequest(Guid.NewGuid(), epoch, TestMls.Proposal(room.Id, epoch));
            Assert.Equal(1, (await (await anna.Http.PostAsJsonAsync(path, stale, Wire.Json)).ReadErrorAsync(409, ErrorCode.WrongEpoch)).CurrentEpoch);
        }

        await (await anna.Http.PostAsJsonAsync(path, request with { Id = Guid.NewGuid(), Proposal = TestMls.Commit(room.Id, 1) }, Wire.Json))
            .ReadErrorAsync(400, ErrorCode.Invalid);
        foreach (var seq in new[] { 2, 3 })
            await (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/messages/{seq}")).ReadErrorAsync(403, ErrorCode.Forbidden);
        await using var stranger = await server.SignUpAsync();
        await (await stranger.Http.PostAsJsonAsync(path, request, Wire.Json)).ReadErrorAsync(404, ErrorCode.NotFound);
    }

    [Fact]
    public async Task Application_messages_are_of_the_current_group_and_of_the_last_few_epochs()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateMlsRoomAsync();
        var hub = await anna.ConnectAsync(messagePack: true);
        async Task RefusedAsync(ErrorCode code, byte[] ciphertext, long epoch)
        {
            var error = await Assert.ThrowsAsync<HubError>(() => hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), ciphertext, Epoch: epoch)));
            Assert.Equal(code, error.Body.Code);
        }

        await RefusedAsync(ErrorCode.Invalid, TestMls.Application(room.Id, 0), 0);
        await RefusedAsync(ErrorCode.WrongEpoch, TestMls.Application(room.Id, 1), 1);
        for (var epoch = 0; epoch < 5; epoch++)
            await anna.CommitAsync(room.Id, epoch);
        foreach (var epoch in new[] { 2, 3, 4, 5 })
            await hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), TestMls.Application(room.Id, epoch), Epoch: epoch));
        await RefusedAsync(ErrorCode.EpochTooOld, TestMls.Application(room.Id, 1), 1);
        await RefusedAsync(ErrorCode.WrongEpoch, TestMls.Application(room.Id, 6), 6);
        await RefusedAsync(ErrorCode.EpochTooOld, TestMls.Application(room.Id, 5, generation: 1), 5);
        var good = TestMls.Application(room.Id, 5);
        foreach (var wrong in new[] { TestMls.Application(Guid.NewGuid(), 5), TestMls.Application(room.Id, 4), TestMls.Commit(
            room.Id, 5), good[..^1], [.. good, 0], [1, 2, 3] })
            await RefusedAsync(ErrorCode.Invalid, wrong, 5);
        // One bad message of a batch fails alone, and other rooms still accept their kind.
        var opaque = await anna.CreateRoomAsync([]);
        var results = await hub.SendBatchAsync(
            new SendRequest(room.Id, Guid.NewGuid(), good, Epoch: 5), new SendRequest(room.Id, Guid.NewGuid(), [1], Epoch: 5),
            new SendRequest(opaque.Id, Guid.NewGuid(), [1]));
        Assert.Equal([null, ErrorCode.Invalid, null], results.Select(result => result.Error?.Code));
    }
}

public sealed class CommitTestsOnSqlite(SqliteServer server) : CommitTests(server);

public sealed class CommitTestsOnPostgres(PostgresServer server) : CommitTests(server);
