using System.Net.Http.Json;
using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Limiting;

/// <summary>Quotas of stored bytes, the same behind every door.</summary>
public abstract class QuotaTests(TestServer server)
{
    private const string On = "--RateLimits:Enabled=true";
    private const string Send = "mutation($i: SendInput!) { send(input: $i) { seq } }";

    [Fact]
    public async Task An_accounts_daily_quota_covers_every_door()
    {
        await using var node = await server.DedicatedAsync(On, "--Quotas:AccountBytesPerDay=10000");
        await using var anna = await node.SignUpAsync();
        await using var ben = await node.SignUpAsync();
        var room = await anna.CreateRoomAsync([ben]);
        using var device = await anna.AddDeviceAsync();
        var group = await anna.CreateMlsRoomAsync();
        var hub = await anna.ConnectAsync();
        Assert.Equal(10000, (await node.Http.GetFromJsonAsync<Limits>("/v1/limits", Wire.Json))!.AccountBytesPerDay);
        Assert.Equal(10000, (await node.Http.AskAsync("{ limits { accountBytesPerDay roomBytes } }")).GetProperty("limits").GetProperty("accountBytesPerDay")
            .GetInt64());

        await hub.SendAsync(room.Id, new byte[2000]);
        Assert.All(await hub.SendBatchAsync(New(room, 1000), New(room, 1000)), result => Assert.NotNull(result.Ack));
        (await PostAsync(anna, room, 2000)).EnsureSuccessStatusCode();
        await anna.Http.AskAsync(Send, new { i = Input(room, 2000) });
        // 2,000 bytes remain; some more refill during the test.
        var refused = await Assert.ThrowsAsync<HubError>(() => hub.SendAsync(room.Id, new byte[4000]));
        Assert.Equal((ErrorCode.QuotaExceeded, false), (refused.Body.Code, refused.Body.Retryable));
        Assert.Contains("accountBytesPerDay", refused.Body.Message, StringComparison.Ordinal);
        Assert.InRange(refused.Body.RetryAfterMs!.Value, 1, 24 * 3600 * 1000);
        refused = await Assert.ThrowsAsync<HubError>(() => hub.SendBatchAsync(New(room, 2000), New(room, 2000)));
        Assert.Equal(ErrorCode.QuotaExceeded, refused.Body.Code);
        await (await PostAsync(anna, room, 4000)).ReadErrorAsync(403, ErrorCode.QuotaExceeded);
        Assert.Equal(ErrorCode.QuotaExceeded, await anna.Http.RefusalAsync(Send, new { i = Input(room, 4000) }));
        await (await device.UploadAsync(Enumerable.Range(0, 20).Select(_ => device.NewKeyPackage().Encode()).ToArray()))
            .ReadErrorAsync(403, ErrorCode.QuotaExceeded);
        var commit = new CommitRequest(Guid.NewGuid(), 0, TestMls.PrivateMessage(Server.Mls.MlsContentType.Commit, TestMls.GroupId(group.Id), 0, 4000));
        await (await anna.Http.PostAsJsonAsync($"/v1/rooms/{group.Id}/commits", commit, Wire.Json)).ReadErrorAsync(403, ErrorCode.QuotaExceeded);
        var proposal = new ProposalRequest(Guid.NewGuid(), 0, TestMls.PrivateMessage(Server.Mls.MlsContentType.Proposal, TestMls.GroupId(group.Id), 0, 4000));
        await (await anna.Http.PostAsJsonAsync($"/v1/rooms/{group.Id}/proposals", proposal, Wire.Json)).ReadErrorAsync(403, ErrorCode.QuotaExceeded);

        // Another account has its own day, and a day refills this one.
        (await PostAsync(ben, room, 4000)).EnsureSuccessStatusCode();
        node.Time.Advance(TimeSpan.FromHours(12));
        anna.Use(await anna.SignInAsync());
        (await PostAsync(anna, room, 4000)).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task A_rooms_daily_quota_rejects_members_and_is_hidden_from_others()
    {
        await using var node = await server.DedicatedAsync(On, "--Quotas:RoomBytesPerDay=5000");
        await using var anna = await node.SignUpAsync();
        await using var ben = await node.SignUpAsync();
        await using var stranger = await node.SignUpAsync();
        var room = await anna.CreateRoomAsync([ben]);
        var other = await anna.CreateRoomAsync([ben]);
        // Sends that are not stored do not count: a non-member cannot use up a room's day.
        for (var i = 0; i < 5; i++)
            await (await PostAsync(stranger, room, 4000)).ReadErrorAsync(404, ErrorCode.NotFound);
        (await PostAsync(anna, room, 3000)).EnsureSuccessStatusCode();
        var refused = await (await PostAsync(ben, room, 3000)).ReadErrorAsync(403, ErrorCode.QuotaExceeded);
        Assert.Contains("roomBytesPerDay", refused.Message, StringComparison.Ordinal);
        await (await PostAsync(stranger, room, 3000)).ReadErrorAsync(404, ErrorCode.NotFound);
        // In a batch only sends to the full room are rejected.
        var results = await (await ben.ConnectAsync()).SendBatchAsync(New(room, 3000), New(other, 3000));
        Assert.Equal(ErrorCode.QuotaExceeded, results[0].Error?.Code);
        Assert.NotNull(results[1].Ack);
        (await PostAsync(ben, room, 1000)).EnsureSuccessStatusCode();
        node.Time.Advance(TimeSpan.FromDays(1));
        ben.Use(await ben.SignInAsync());
        (await PostAsync(ben, room, 3000)).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task A_full_room_accepts_and_counts_commits_so_that_members_can_be_removed()
    {
        await using var node = await server.DedicatedAsync(On, "--Quotas:RoomBytesPerDay=1024");
        await using var anna = await node.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        var group = await anna.CreateMlsRoomAsync();
        for (var epoch = 0; epoch < 4; epoch++)
        {
            // Two of them exceed the room's day.
            var commit = new CommitRequest(
                Guid.NewGuid(), epoch, TestMls.PrivateMessage(Server.Mls.MlsContentType.Commit, TestMls.GroupId(group.Id), epoch, 600));
            (await anna.Http.PostAsJsonAsync($"/v1/rooms/{group.Id}/commits", commit, Wire.Json)).EnsureSuccessStatusCode();
        }

        var message = TestMls.PrivateMessage(Server.Mls.MlsContentType.Application, TestMls.GroupId(group.Id), 4, 100);
        using var refused = await anna.Http.PostAsJsonAsync(
            $"/v1/rooms/{group.Id}/messages", new SendRequest(group.Id, Guid.NewGuid(), message, Epoch: 4), Wire.Json);
        await refused.ReadErrorAsync(403, ErrorCode.QuotaExceeded);
    }

    [Fact]
    public async Task Redactions_free_a_rooms_total_quota()
    {
        // Also without rate limits: it protects the disk.
        await using var node = await server.DedicatedAsync("--Quotas:RoomBytes=20000");
        await using var anna = await node.SignUpAsync();
        await using var stranger = await node.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var acks = new List<SendAck>();
        var refused = await FillAsync();
        Assert.InRange(acks.Count, 20, 30);
        Assert.Contains("roomBytes ", refused.Message, StringComparison.Ordinal);
        await (await PostAsync(stranger, room, 10)).ReadErrorAsync(404, ErrorCode.NotFound);
        foreach (var ack in acks)
            (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/messages/{ack.Seq}")).EnsureSuccessStatusCode();
        node.Time.Advance(TimeSpan.FromMinutes(1.1));
        await Eventually.TrueAsync(async () =>
        {
            using var sent = await PostAsync(anna, room, 1000);
            if (!sent.IsSuccessStatusCode)
                await sent.ReadErrorAsync(403, ErrorCode.QuotaExceeded);
            return sent.IsSuccessStatusCode;
        });

        async Task<ErrorBody> FillAsync()
        {
            while (true)
            {
                using var sent = await PostAsync(anna, room, 1000);
                if (!sent.IsSuccessStatusCode)
                    return await sent.ReadErrorAsync(403, ErrorCode.QuotaExceeded);
                acks.Add(await sent.ReadAsync<SendAck>());
                Assert.True(acks.Count < 100);
                // The count runs beside the sends.
                await Task.Delay(20);
            }
        }
    }

    [Fact]
    public async Task Tightened_limits_are_reported_and_enforced()
    {
        await using var node = await server.DedicatedAsync(
            "--Limits:CiphertextBytes=1000", "--Limits:SignalBytes=10", "--Limits:BatchSends=2", "--Limits:BatchBytes=1500", "--Limits:NameBytes=5",
            "--Limits:RoomMembers=2",
            "--Limits:PageEntries=3", "--Limits:Devices=1", "--Limits:UsernameCharacters=20", "--Limits:PasswordMinCharacters=12",
            "--Limits:TimeToLiveMinSeconds=120",
            "--Limits:KeyPackages=1");
        await using var anna = await node.SignUpAsync();
        await using var ben = await node.SignUpAsync();
        await using var carl = await node.SignUpAsync();
        var limits = (await node.Http.GetFromJsonAsync<Limits>("/v1/limits", Wire.Json))!;
        Assert.Equal(
            Limits.Default with
            {
                CiphertextBytes = 1000,
                SignalBytes = 10,
                BatchSends = 2,
                BatchBytes = 1500,
                NameBytes = 5,
                RoomMembers = 2,
                PageEntries = 3,
                Devices = 1,
                UsernameCharacters = 20,
                PasswordMinCharacters = 12,
                TimeToLiveMinSeconds = 120,
                KeyPackages = 1,
                RoomBytes = limits.RoomBytes,
            },
            limits);
        var room = await anna.CreateRoomAsync([ben]);
        (await PostAsync(anna, room, 1000)).EnsureSuccessStatusCode();
        await (await PostAsync(anna, room, 1001)).ReadErrorAsync(413, ErrorCode.TooLarge);
        var hub = await anna.ConnectAsync();
        await Assert.ThrowsAsync<HubError>(() => hub.SendBatchAsync(New(room, 1), New(room, 1), New(room, 1)));
        await Assert.ThrowsAsync<HubError>(() => hub.SendBatchAsync(New(room, 1000), New(room, 501)));
        await Assert.ThrowsAsync<HubError>(() => hub.SignalAsync(room.Id, new byte[11]));
        await hub.SignalAsync(room.Id, new byte[10]);
        Assert.Equal(3, (await hub.SyncAsync(room.Id, 0)).Entries.Length);
        await (await anna.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/members", new AddMemberRequest(carl.Username), Wire.Json))
            .ReadErrorAsync(413, ErrorCode.TooLarge);
        await (await anna.Http.PostAsJsonAsync("/v1/rooms", new CreateRoomRequest(RoomKind.Group, [], Name: new byte[6]), Wire.Json))
            .ReadErrorAsync(413, ErrorCode.TooLarge);
        await (await anna.Http.PostAsJsonAsync("/v1/rooms", new CreateRoomRequest(RoomKind.Group, [], TimeToLiveSeconds: 119), Wire.Json))
            .ReadErrorAsync(400, ErrorCode.Invalid);
        var signUp = TestPeople.NewSignUp();
        await (await node.Http.PostAsJsonAsync("/v1/auth/sign-up", signUp with { Username = new string('x', 21) }, Wire.Json))
            .ReadErrorAsync(400, ErrorCode.Invalid);
        await (await node.Http.PostAsJsonAsync("/v1/auth/sign-up", signUp with { Password = "12345678901" }, Wire.Json)).ReadErrorAsync(400, ErrorCode.Invalid);
        using var device = await anna.AddDeviceAsync();
        await (await device.UploadAsync([device.NewKeyPackage().Encode(), device.NewKeyPackage().Encode()])).ReadErrorAsync(413, ErrorCode.TooLarge);
    }

    [Theory]
    [InlineData("--Limits:CiphertextBytes=32769", "Limits:CiphertextBytes must be 1 to 32768")]
    [InlineData("--Limits:RoomMembers=0", "Limits:RoomMembers must be 1 to 1000")]
    [InlineData("--Limits:PasswordMinCharacters=9", "Limits:PasswordMinCharacters must be at least 10")]
    [InlineData("--Limits:TimeToLiveMinSeconds=1", "Limits:TimeToLiveMinSeconds must be at least 60")]
    [InlineData("--Limits:BatchBytes=100", "Limits:BatchBytes must not be below Limits:CiphertextBytes")]
    [InlineData("--Limits:RoomBytes=5", "set Quotas:RoomBytes")]
    [InlineData("--Quotas:RoomBytes=5", "RoomBytes")]
    [InlineData("--Quotas:AccountBytesPerDay=0", "AccountBytesPerDay")]
    public async Task A_loosened_or_invalid_limit_is_rejected_at_start(string setting, string sentence)
    {
        var exception = await Assert.ThrowsAnyAsync<Exception>(() => server.DedicatedAsync(setting));
        Assert.Contains(sentence, exception.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_empty_quota_is_no_quota()
    {
        await using var node = await server.DedicatedAsync(On, "--Quotas:AccountBytesPerDay=", "--Quotas:RoomBytesPerDay=", "--Quotas:RoomBytes=");
        var text = await node.Http.GetStringAsync("/v1/limits");
        Assert.DoesNotContain("oomBytes", text, StringComparison.Ordinal);
        using var json = JsonDocument.Parse(text);
        Assert.False(json.RootElement.TryGetProperty("accountBytesPerDay", out _));
    }

    private static SendRequest New(Room room, int bytes) => new(room.Id, Guid.NewGuid(), new byte[bytes]);

    private static object Input(Room room, int bytes) =>
        new { roomId = room.Id, clientMessageId = Guid.NewGuid(), ciphertext = Convert.ToBase64String(new byte[bytes]) };

    private static Task<HttpResponseMessage> PostAsync(TestUser user, Room room, int bytes) =>
        user.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/messages", New(room, bytes), Wire.Json);
}

public sealed class QuotaTestsOnSqlite(SqliteServer server) : QuotaTests(server);

public sealed class QuotaTestsOnPostgres(PostgresServer server) : QuotaTests(server);
