using System.Net.Http.Json;
using System.Text;
using Dapper;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Privacy;

/// <summary>
/// A scripted conversation with canary values. Afterwards the logs at their most verbose level and all stored data are searched for them.
/// </summary>
public abstract class CanaryTests(TestServer shared)
{
    [Fact]
    public async Task Logs_and_tables_never_contain_forbidden_values()
    {
        await using var server = await shared.DedicatedAsync("--Logs:Level=Verbose");
        const string agent = "CanaryAgent/77.1";
        const string password = "canary-password-5150";
        const string email = "canary.mail@example.org";
        server.Http.DefaultRequestHeaders.Add("User-Agent", agent);
        server.Http.DefaultRequestHeaders.Add("X-Forwarded-For", "203.0.113.77");
        using var signUp = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", new SignUpRequest("canary-name", email, password), Wire.Json);
        var tokens = await signUp.ReadAsync<TokenResponse>();
        await using var anna = new TestUser(server.Url, new SignUpRequest("canary-name", email, password), tokens);
        using var ticketReply = await anna.Http.PostAsync("/v1/auth/ticket", null);
        var ticket = (await ticketReply.ReadAsync<TicketResponse>()).Ticket;
        var room = await anna.CreateRoomAsync([]);
        var envelope = Encoding.UTF8.GetBytes("canary-ciphertext-0123456789");
        var signal = Encoding.UTF8.GetBytes("canary-signal-0123456789");
        foreach (var messagePack in new[] { false, true })
        {
            var hub = await anna.ConnectAsync(messagePack);
            await hub.SendAsync(room.Id, envelope);
            await hub.SignalAsync(room.Id, signal);
            await Assert.ThrowsAsync<HubError>(() => hub.SendAsync(Guid.NewGuid(), envelope));
        }

        using var device = await anna.AddDeviceAsync();
        var keyPackage = (await device.StockUpAsync(1))[0];
        await (await device.UploadAsync([[.. Encoding.UTF8.GetBytes("canary-key-package")]])).ReadErrorAsync(400, ErrorCode.Invalid);
        var group = await anna.CreateMlsRoomAsync();
        await anna.CommitAsync(group.Id, 0, welcomes: [TestMls.Welcome(keyPackage)]);

        // Failures often leak secrets into logs.
        using var socket = new System.Net.WebSockets.ClientWebSocket();
        await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{server.Url.Port}{Wire.HubPath}?ticket={ticket}"), CancellationToken.None);
        socket.Abort();
        using var badTicket = await server.Http.GetAsync($"{Wire.HubPath}?ticket={ticket}&access_token=canary-query");
        using var badToken = await server.Http.PostAsJsonAsync("/v1/auth/token", new TokenRequest("canary-name", "canary-wrong-password"), Wire.Json);
        using var badBody = await anna.Http.PostAsync("/v1/rooms", new StringContent("{\"canary-body", Encoding.UTF8, "application/json"));
        using var refresh = await server.Http.PostAsJsonAsync("/v1/auth/refresh", new RefreshRequest(tokens.RefreshToken), Wire.Json);
        refresh.EnsureSuccessStatusCode();

        string[] never =
        [
            agent, password, "canary-wrong-password", tokens.AccessToken, tokens.AccessToken.Split('.')[2], tokens.RefreshToken, ticket,
            "canary-signal", "203.0.113.77", "canary-query", "canary-body",
        ];
        var logs = string.Join('\n', server.Logs);
        Assert.NotEmpty(logs);
        foreach (var canary in never.Concat([email, "canary-name", "canary-ciphertext", Convert.ToBase64String(
            envelope), "127.0.0.1:", "ticket=", "canary-key-package", Convert.ToBase64String(device.PublicKey), device.Id.ToString()]))
            Assert.False(logs.Replace($"127.0.0.1:{server.Url.Port}", "", StringComparison.Ordinal)
                .Contains(canary, StringComparison.OrdinalIgnoreCase), $"The logs hold {canary}.");

        var stored = await DumpAsync(server);
        Assert.True(Holds(stored, "canary-name"), "The search itself must be able to find what is stored.");
        Assert.True(Holds(stored, "canary-ciphertext"), "The search itself must be able to find what is stored.");
        foreach (var canary in never.Concat([email, "canary-key-package"]))
            Assert.False(Holds(stored, canary), $"The database holds {canary}.");
    }

    [Fact]
    public async Task An_event_is_one_log_line_for_any_client_input()
    {
        await using var server = await shared.DedicatedAsync("--Logs:Level=Verbose");
        await using var anna = await server.SignUpAsync();
        foreach (var path in new[] { "/v1/users/a%0d%0aforged%20line", "/v1/rooms/%1b%5b31mred", "/%0a%7b%22@m%22:%22forged%22%7d" })
            using (await anna.Http.GetAsync(path))
            {
            }

        Assert.DoesNotContain(server.Logs, line => line.Contains("forged", StringComparison.Ordinal) || line.Contains('\u001b'));
    }

    [Fact]
    public async Task Erasing_an_account_leaves_no_row_that_names_it()
    {
        await using var server = await shared.DedicatedAsync();
        var users = await server.SignUpAsync(3);
        var (anna, ben, carl) = (users[0], users[1], users[2]);
        var sealedRoom = await anna.CreateRoomAsync([ben, carl]);
        var visibleRoom = await ben.CreateRoomAsync([anna], visible: true);
        var leftRoom = await ben.CreateRoomAsync([anna], visible: true);
        var leftSealedRoom = await ben.CreateRoomAsync([anna]);
        var alone = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync();
        var bens = await ben.ConnectAsync();
        for (var i = 0; i < 20; i++)
        {
            foreach (var room in new[] { sealedRoom, visibleRoom, leftRoom, leftSealedRoom, alone })
                await hub.SendAsync(room.Id, [.. "of anna"u8]);
            await bens.SendAsync(sealedRoom.Id, [.. "of ben"u8]);
        }

        foreach (var left in new[] { leftRoom, leftSealedRoom })
            (await anna.Http.DeleteAsync($"/v1/rooms/{left.Id}/members/{anna.Id}")).EnsureSuccessStatusCode();
        using var device = await anna.AddDeviceAsync();
        using var second = await device.AddDeviceAsync();
        await device.StockUpAsync(3, lastResort: true);
        await second.StockUpAsync(2);
        var keys = new ListedKeys(device.Id, device.SignatureKey, device.LinkKey, 1);
        var list = new PublishDeviceListRequest(ListContent.First(anna, keys, device.Identity).Encode());
        (await anna.Http.PutAsJsonAsync("/v1/me/device-list", list, Wire.Json)).EnsureSuccessStatusCode();
        var founded = new CreateRoomRequest(RoomKind.Group, [], Scheme: Schemes.Mls10, Founding: TestTrust.Founding(anna), UserIds: [ben.Id]);
        (await anna.Http.PostAsJsonAsync("/v1/rooms", founded, Wire.Json)).EnsureSuccessStatusCode();
        var withAnna = new CreateRoomRequest(RoomKind.Direct, [], Scheme: Schemes.Mls10, Founding: TestTrust.Founding(carl, anna), UserIds: [anna.Id]);
        (await carl.Http.PostAsJsonAsync("/v1/rooms", withAnna, Wire.Json)).EnsureSuccessStatusCode();
        var group = await ben.CreateMlsRoomAsync(anna, carl);
        var claimed = await ben.ClaimAsync(anna);
        await ben.CommitAsync(group.Id, 0, welcomes: [TestMls.Welcome([.. claimed.Select(package => package.KeyPackage)])]);
        var commit = await anna.CommitAsync(group.Id, 1);
        using (await anna.Http.PostAsJsonAsync($"/v1/rooms/{group.Id}/invalid-commits", new ReportInvalidCommitRequest(commit.Seq), Wire.Json))
            Assert.Equal(1, await server.ScalarAsync<long>("select count(*) from commit_reports"));
        var settings = new NotificationSettings(QuietFrom: 1, QuietUntil: 2, TimeZone: "Pacific/Chatham");
        foreach (var path in new[] { "/v1/me/settings", $"/v1/me/settings/rooms/{sealedRoom.Id}" })
            (await anna.Http.PutAsJsonAsync(path, settings, Wire.Json)).EnsureSuccessStatusCode();
        (await anna.Http.PutAsJsonAsync("/v1/me/push", new RegisterPushRequest("https://push.example.org/anna"), Wire.Json)).EnsureSuccessStatusCode();
        Assert.True(Holds(await DumpAsync(server), "Pacific/Chatham"));
        (await anna.Http.PostAsJsonAsync("/v1/me/delete", new DeleteAccountRequest(anna.Password), Wire.Json)).EnsureSuccessStatusCode();
        await hub.Closed.Task.WaitAsync(TimeSpan.FromSeconds(20));

        var stored = await DumpAsync(server);
        Assert.False(Holds(stored, anna.Id.ToByteArray(bigEndian: true)), "A row still names the account.");
        Assert.False(Holds(stored, anna.Username), "A row still holds the username.");
        Assert.False(Holds(stored, "of anna"), "An entry of the account is still there.");
        Assert.True(Holds(stored, "of ben"));
        Assert.False(Holds(stored, "Pacific/Chatham"), "A row still holds settings.");
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from sessions where push_endpoint is not null"));
        foreach (var key in new[] { anna.Tokens.SessionId.ToByteArray(bigEndian: true), device.Id.ToByteArray(bigEndian: true), second.Id.ToByteArray(
            bigEndian: true), device.IdentityKey, device.PublicKey, second.PublicKey })
            Assert.False(Holds(stored, key), "A row still holds a device or a key.");
        foreach (var table in new[] { "identity_keys", "devices", "key_packages", "welcomes", "welcome_recipients", "commit_reports", "commit_throttles",
            "device_lists", "notification_settings", "room_notification_settings" })
            Assert.Equal(0, await server.ScalarAsync<long>($"select count(*) from {table}"));
        // Ben has twenty messages and a commit. Anna's commit stays for members that follow the group, without an owner.
        Assert.Equal(21, await server.ScalarAsync<long>("select count(*) from entries where owner_proof is not null"));
        var handshake = (await bens.SyncAsync(group.Id)).Entries.Single(entry => entry.Seq == commit.Seq);
        Assert.Equal((EntryKind.Commit, null, null), (handshake.Kind, handshake.Id, handshake.SenderId));
        Assert.NotNull(handshake.Ciphertext);
        // The room continues with another owner, and its log says so without the deleted account.
        var log = await bens.SyncAsync(sealedRoom.Id);
        Assert.Equal((EntryKind.RoleChanged, ben.Id), (log.Entries[^2].Kind, log.Entries[^2].UserId!.Value));
        Assert.Equal((EntryKind.MemberLeft, null), (log.Entries[^1].Kind, log.Entries[^1].UserId));
        Assert.Equal(Enumerable.Range((int)log.FirstSeq, log.Entries.Length).Select(seq => (long)seq), log.Entries.Select(entry => entry.Seq));
        await bens.WaitAsync(sealedRoom.Id, entries => entries.Length > 0 && entries[^1].Seq == log.HeadSeq);
    }

    /// <summary>Every value of every row, as bytes.</summary>
    private static async Task<List<byte[]>> DumpAsync(TestServer server)
    {
        var values = new List<byte[]>();
        var tables = await server.RowsAsync<string>(server.PostgresConnection is null
            ? "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
            : "select table_name::text from information_schema.tables where table_schema = 'public'");
        Assert.Superset(new HashSet<string> { "users", "entries", "identity_keys", "devices", "key_packages", "welcomes", "welcome_recipients",
            "commit_reports", "notification_settings", "room_notification_settings" }, tables.ToHashSet());
        foreach (var table in tables)
        {
            var rows = await server.Database.ReadAsync(connection => connection.QueryAsync($"select * from {table}"), CancellationToken.None);
            values.AddRange(rows.Cast<IDictionary<string, object?>>().SelectMany(row => row.Values).Select(value => value switch
            {
                byte[] bytes => bytes,
                Guid id => id.ToByteArray(bigEndian: true),
                null => [],
                _ => Encoding.UTF8.GetBytes(Convert.ToString(value, System.Globalization.CultureInfo.InvariantCulture)!),
            }));
        }

        return values;
    }

    private static bool Holds(List<byte[]> values, string text) => Holds(values, Encoding.UTF8.GetBytes(text))
        || Holds(values, Encoding.Unicode.GetBytes(text));

    private static bool Holds(List<byte[]> values, byte[] canary) => values.Exists(value => value.AsSpan().IndexOf(canary) >= 0);
}

public sealed class CanaryTestsOnSqlite(SqliteServer server) : CanaryTests(server);

public sealed class CanaryTestsOnPostgres(PostgresServer server) : CanaryTests(server);
