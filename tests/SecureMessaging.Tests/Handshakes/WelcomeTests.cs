using System.Net.Http.Json;
using System.Text;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Handshakes;

public abstract class WelcomeTests(TestServer server)
{
    [Fact]
    public async Task Welcomes_beyond_a_page_come_with_the_next_page()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var device = await ben.AddDeviceAsync();
        var rooms = new List<Guid>();
        for (var i = 0; i < 2; i++)
        {
            var package = (await device.StockUpAsync(1))[0];
            var room = await anna.CreateMlsRoomAsync(ben);
            rooms.Add(room.Id);
            await anna.CommitAsync(room.Id, 0, welcomes: [TestMls.WelcomeFor([TestMls.Reference(package)], groupInfo: 700 * 1024)]);
        }

        var first = (await device.WelcomesAsync()).Single();
        (await device.Http.DeleteAsync($"/v1/devices/{device.Id}/welcomes/{first.RoomId}/{first.Seq}")).EnsureSuccessStatusCode();
        var second = (await device.WelcomesAsync()).Single();
        Assert.Equal(rooms.Order(), new[] { first.RoomId, second.RoomId }.Order());
    }

    [Fact]
    public async Task Simultaneous_acknowledgements_leave_no_Welcome()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var devices = new List<TestDevice> { await ben.AddDeviceAsync() };
        for (var i = 0; i < 5; i++)
            devices.Add(await devices[0].AddDeviceAsync());
        foreach (var device in devices)
            await device.StockUpAsync(3);
        var room = await anna.CreateMlsRoomAsync(ben);
        for (var epoch = 0; epoch < 3; epoch++)
        {
            var claimed = await anna.ClaimAsync(ben);
            Assert.Equal(devices.Count, claimed.Length);
            var commit = await anna.CommitAsync(room.Id, epoch, welcomes: [TestMls.Welcome([.. claimed.Select(package => package.KeyPackage)])]);
            var replies = await Task.WhenAll(devices.Select(device => device.Http.DeleteAsync($"/v1/devices/{device.Id}/welcomes/{room.Id}/{commit.Seq}")));
            Assert.All(replies, reply => reply.EnsureSuccessStatusCode());
            Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from welcomes where room_id = @Id", new { room.Id }));
        }

        devices.ForEach(device => device.Dispose());
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task A_device_revoked_during_a_commit_is_either_rejected_or_reported()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var first = await ben.AddDeviceAsync();
        var outcomes = new List<bool>();
        for (var round = 0; round < 12; round++)
        {
            using var second = await first.AddDeviceAsync();
            var package = (await second.StockUpAsync(1))[0];
            var room = await anna.CreateMlsRoomAsync();
            var request = new CommitRequest(
                Guid.NewGuid(), 0, TestMls.Commit(room.Id, 0), [TestMls.Welcome(package)], new RosterChange([new AddMemberRequest(ben.Username)]));
            var committing = anna.Http.CommitAsync(room.Id, request);
            await Task.Delay(round % 4);
            using var revoked = await ben.Http.DeleteAsync($"/v1/devices/{second.Id}");
            revoked.EnsureSuccessStatusCode();
            using var committed = await committing;
            var won = committed.IsSuccessStatusCode;
            outcomes.Add(won);
            if (!won)
                await committed.ReadErrorAsync(400, ErrorCode.Invalid);
            var log = (await anna.Http.GetFromJsonAsync<LogPage>($"/v1/rooms/{room.Id}/log", Wire.Json))!;
            Assert.Equal(won, log.Entries.Any(entry => entry.Kind == EntryKind.DevicesChanged && entry.UserId == ben.Id));
            Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from welcome_recipients where device_id = @Id", new { second.Id }));
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{outcomes.Count(won => won)} of {outcomes.Count} commits came first");
    }

    [Theory]
    [InlineData("/v1/devices", 17 * 1024)]
    [InlineData("/v1/devices/{device}/key-packages", 641 * 1024)]
    [InlineData("/v1/key-packages/claim", 129 * 1024)]
    [InlineData("/v1/rooms/{room}/commits", (3 * 1024 * 1024) + (257 * 1024))]
    [InlineData("/v1/rooms/{room}/proposals", 1537 * 1024)]
    [InlineData("/v1/rooms/{room}/invalid-commits", 1025)]
    public async Task Bodies_are_bounded_by_their_content(string path, int length)
    {
        await using var anna = await server.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        var room = await anna.CreateMlsRoomAsync();
        var url = path.Replace("{device}", device.Id.ToString(), StringComparison.Ordinal).Replace("{room}", room.Id.ToString(), StringComparison.Ordinal);
        // The server responds and closes before it has read the body; Expect: 100-continue lets the client read the response.
        using var patient = new HttpClient(new SocketsHttpHandler { Expect100ContinueTimeout = TimeSpan.FromSeconds(30) }) { BaseAddress = server.Url };
        patient.DefaultRequestHeaders.ExpectContinue = true;
        patient.DefaultRequestHeaders.Authorization = anna.Http.DefaultRequestHeaders.Authorization;
        using var response = await patient.PostAsync(url, new StringContent(new string(' ', length), Encoding.UTF8, "application/json"));
        await response.ReadErrorAsync(413, ErrorCode.TooLarge);
    }

    [Fact]
    public async Task A_commit_of_the_maximum_size_is_accepted()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var device = await ben.AddDeviceAsync();
        var package = (await device.StockUpAsync(1))[0];
        var room = await anna.CreateMlsRoomAsync(ben);
        var commit = TestMls.PrivateMessage(Server.Mls.MlsContentType.Commit, TestMls.GroupId(room.Id), 0, Limits.Default.HandshakeBytes - 200);
        var welcome = TestMls.WelcomeFor([TestMls.Reference(package)], groupInfo: Limits.Default.HandshakeBytes - 300);
        var hub = await ben.ConnectAsync();
        await (await anna.Http.CommitAsync(room.Id, new CommitRequest(Guid.NewGuid(), 0, commit, [welcome]))).ReadAsync<CommitAck>();
        Assert.Equal(commit, (await hub.WaitAsync(room.Id, entries => entries.Length == 1))[0].Ciphertext);
        Assert.Equal(welcome, (await device.WelcomesAsync()).Single().Message);
        var more = new CommitRequest(Guid.NewGuid(), 1, TestMls.Commit(room.Id, 1), [welcome, welcome]);
        await (await anna.Http.CommitAsync(
            room.Id, more with { Commit = TestMls.PrivateMessage(Server.Mls.MlsContentType.Commit, TestMls.GroupId(room.Id), 1, 4096) }))
            .ReadErrorAsync(413, ErrorCode.TooLarge);
    }
}

public sealed class WelcomeTestsOnSqlite(SqliteServer server) : WelcomeTests(server);

public sealed class WelcomeTestsOnPostgres(PostgresServer server) : WelcomeTests(server);
