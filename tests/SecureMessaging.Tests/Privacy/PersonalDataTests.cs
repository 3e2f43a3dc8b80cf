using System.Net.Http.Json;
using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Admin;
using SecureMessaging.Tests.Contract;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Privacy;

/// <summary>The disclosure of an account: all of its data, and none of others.</summary>
public abstract class PersonalDataTests(TestServer server)
{
    /// <summary>Tables of the installation, and the names of deleted accounts: no row belongs to an account.</summary>
    private static readonly string[] TablesWithoutAccounts = ["installation", "nodes", "released_names"];

    [Fact]
    public async Task Every_declared_column_is_in_the_disclosure()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        await LeaveTracesAsync(anna, ben);
        var tables = (await ReadAsync(anna)).GetProperty("tables");
        foreach (var table in Inventory.Declared.Columns.Keys.GroupBy(column => column.Split('.')[0], column => column.Split('.')[1])
            .Where(table => !TablesWithoutAccounts.Contains(table.Key)))
        {
            Assert.True(tables.TryGetProperty(table.Key, out var rows), $"{table.Key} is not disclosed.");
            Assert.True(rows.GetArrayLength() > 0, $"This test leaves nothing in {table.Key}.");
            foreach (var row in rows.EnumerateArray())
                Assert.Equal(table.Order(StringComparer.Ordinal), row.EnumerateObject().Select(column => column.Name).Order(StringComparer.Ordinal));
            // A column that is null in all rows would be disclosed by accident. Entries with settings belong to no account.
            foreach (var column in table.Where(
                column => column is not ("ended_at" or "spent_at") && (table.Key, column) is not ("entries", "settings")))
                Assert.True(rows.EnumerateArray()
                    .Any(row => row.GetProperty(column).ValueKind != JsonValueKind.Null), $"This test leaves nothing in {table.Key}.{column}.");
        }
    }

    [Fact]
    public async Task Every_time_is_as_precise_as_the_inventory_says()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        await LeaveTracesAsync(anna, ben);
        using (var refreshed = await server.Http.PostAsJsonAsync("/v1/auth/refresh", new RefreshRequest(anna.Tokens.RefreshToken), Wire.Json))
            refreshed.EnsureSuccessStatusCode();
        var tables = (await ReadAsync(anna)).GetProperty("tables");
        foreach (var table in tables.EnumerateObject())
        {
            foreach (var column in table.Value.EnumerateArray().SelectMany(row => row.EnumerateObject()))
            {
                // Times are texts of this form. No other column has one.
                if (column.Value.ValueKind != JsonValueKind.String || column.Value.GetString() is not [_, _, _, _, '-', _, _, '-', _, _, 'T', ..])
                    continue;
                var precision = Inventory.Declared.Columns[$"{table.Name}.{column.Name}"].Precision;
                var unit = precision.Split(' ', ',', ';')[0] switch
                {
                    "day" => TimeSpan.TicksPerDay,
                    "hour" => TimeSpan.TicksPerHour,
                    "minute" => TimeSpan.TicksPerMinute,
                    "second" => TimeSpan.TicksPerSecond,
                    _ => throw new InvalidOperationException($"{table.Name}.{column.Name} is a time, and the inventory says: {precision}"),
                };
                Assert.True(column.Value.GetDateTime().Ticks % unit == 0, $"{table.Name}.{column.Name} is {column.Value}, and the inventory says: {precision}");
            }
        }
    }

    [Fact]
    public async Task The_disclosure_is_complete_and_only_of_the_callers_data()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var room = await LeaveTracesAsync(anna, ben);
        var left = await ben.CreateRoomAsync([anna]);
        var sent = new List<long> { await SendAsync(anna, room), await SendAsync(anna, left) };
        var others = await SendAsync(ben, room);
        (await anna.Http.DeleteAsync($"/v1/rooms/{left.Id}/members/{anna.Id}")).EnsureSuccessStatusCode();

        var text = await anna.Http.GetStringAsync("/v1/me/data");
        var tables = JsonDocument.Parse(text).RootElement.GetProperty("tables");
        var user = tables.GetProperty("users").EnumerateArray().Single();
        Assert.Equal((anna.Id, anna.Username, anna.Email, "user"), (
            user.GetProperty("id").GetGuid(), user.GetProperty("username").GetString(), user.GetProperty("email").GetString(),
            user.GetProperty("role").GetString()));
        Assert.Equal("held, not shown", user.GetProperty("password_hash").GetString());
        Assert.DoesNotContain("argon2", text, StringComparison.OrdinalIgnoreCase);
        Assert.Equal("https://push.example.org/anna", tables.GetProperty("sessions").EnumerateArray()
            .Single(session => session.GetProperty("id").GetGuid() == anna.Tokens.SessionId)
            .GetProperty("push_endpoint").GetString());
        Assert.Equal("owner", tables.GetProperty("room_members").EnumerateArray().Single(member => member.GetProperty("room_id").GetGuid() == room.Id)
            .GetProperty("role").GetString());

        var entries = tables.GetProperty("entries").EnumerateArray().Select(entry =>
            (Room: entry.GetProperty("room_id").GetGuid(), Seq: entry.GetProperty("seq").GetInt64(), Kind: entry.GetProperty("kind").GetString())).ToList();
        Assert.Contains((room.Id, sent[0], "message"), entries);
        // Also from rooms that she has left.
        Assert.Contains((left.Id, sent[1], "message"), entries);
        Assert.DoesNotContain((room.Id, others, "message"), entries);
        Assert.Equal(entries.Count, entries.Distinct().Count());
        foreach (var (table, column) in new[] { ("sessions", "user_id"), ("devices", "user_id"), ("room_members", "user_id"), ("commit_reports", "user_id"),
            ("room_notification_settings", "user_id") })
            Assert.All(tables.GetProperty(table).EnumerateArray(), row => Assert.Equal(anna.Id, row.GetProperty(column).GetGuid()));
        Assert.DoesNotContain(ben.Username, text, StringComparison.Ordinal);

        var asked = (await anna.Http.AskAsync("{ me { data } }")).GetProperty("me").GetProperty("data").GetString()!;
        Assert.True(JsonElement.DeepEquals(tables, JsonDocument.Parse(asked).RootElement.GetProperty("tables")), asked);
    }

    [Fact]
    public async Task Many_entries_are_read_in_pages()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([ben]);
        var (annas, bens) = (await anna.ConnectAsync(), await ben.ConnectAsync());
        var own = new List<long>();
        for (var batch = 0; batch < 12; batch++)
        {
            own.AddRange((await annas.SendBatchAsync(Batch())).Select(result => result.Ack!.Seq));
            await bens.SendBatchAsync(Batch());
        }

        var found = (await ReadAsync(anna)).GetProperty("tables").GetProperty("entries").EnumerateArray()
            .Where(entry => entry.GetProperty("kind").GetString() == "message").ToList();
        Assert.Equal(own.Order(), found.Select(entry => entry.GetProperty("seq").GetInt64()));
        Assert.All(found, entry => Assert.Equal(7, entry.GetProperty("ciphertext").GetProperty("bytes").GetInt64()));

        SendRequest[] Batch() => [.. Enumerable.Range(0, 50).Select(_ => new SendRequest(room.Id, Guid.NewGuid(), new byte[7]))];
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task The_operators_disclosure_is_the_same()
    {
        using var directory = new TestDirectory();
        var database = server.PostgresConnection is null ? "" : await TestPostgres.CreateDatabaseAsync();
        try
        {
            JsonElement own;
            string name;
            await using (var process = new ServerProcess(directory.Path, database))
            {
                await process.StartAsync();
                await using var anna = await TestPeople.SignUpAsync(process.Url);
                await using var ben = await TestPeople.SignUpAsync(process.Url);
                var room = await anna.CreateRoomAsync([ben]);
                await SendAsync(anna, room);
                await SendAsync(ben, room);
                name = anna.Username;
                own = (await ReadAsync(anna)).GetProperty("tables");
            }

            var (code, output, error) = await DiscloseAsync(name.ToUpperInvariant());
            Assert.True(code == 0, error);
            Assert.True(JsonElement.DeepEquals(own, JsonDocument.Parse(output).RootElement.GetProperty("tables")), output);
            (code, output, error) = await DiscloseAsync("unknown-here");
            Assert.Equal((1, "", "There is no user unknown-here.\n"), (code, output, error));
            (code, _, error) = await DiscloseAsync("--Server:NodeName=x");
            Assert.Equal(1, code);
            Assert.StartsWith("Usage: disclose", error, StringComparison.Ordinal);
        }
        finally
        {
            if (database.Length > 0)
                await TestPostgres.DropDatabaseAsync(database);
        }

        Task<(int ExitCode, string Output, string Error)> DiscloseAsync(string argument) => Programs.RunAsync(
            Repository.BuiltAssembly("src/SecureMessaging.Server"), ["disclose", argument],
            new() { ["Server__DataDirectory"] = directory.Path, ["ConnectionStrings__Postgres"] = database });
    }

    /// <summary>Writes a value into every column that can belong to an account. Returns a visible room of both; the first is its owner.</summary>
    internal static async Task<Room> LeaveTracesAsync(TestUser anna, TestUser ben)
    {
        var night = new NotificationSettings(QuietFrom: 1380, QuietUntil: 420, TimeZone: "Europe/Vienna");
        var room = await anna.CreateRoomAsync([ben], visible: true, timeToLiveSeconds: 3600);
        using var renamed = await anna.Http.PatchAsJsonAsync($"/v1/rooms/{room.Id}", new RoomSettings([1, 2, 3], 3600), Wire.Json);
        var seq = await SendAsync(anna, room);
        using var retracted = await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/messages/{seq}");
        await SendAsync(anna, room);
        await anna.CreateRoomAsync([ben], kind: RoomKind.Direct);
        using var settings = await anna.Http.PutAsJsonAsync("/v1/me/settings", night, Wire.Json);
        using var own = await anna.Http.PutAsJsonAsync($"/v1/me/settings/rooms/{room.Id}", night, Wire.Json);
        using var push = await anna.Http.PutAsJsonAsync("/v1/me/push", new RegisterPushRequest("https://push.example.org/anna"), Wire.Json);
        using var labelled = await anna.Http.PutAsJsonAsync(
            $"/v1/me/sessions/{anna.Tokens.SessionId}/label", new LabelSessionRequest([9, 8, 7]), Wire.Json);
        using var ticket = await anna.Http.PostAsync("/v1/auth/ticket", null);
        using var device = await anna.AddDeviceAsync();
        using var second = await device.AddDeviceAsync(register: false);
        using var registered = await second.Http.PostAsJsonAsync(
            "/v1/devices", second.Registration(approved: false, first: false) with { Name = [7, 8, 9] }, Wire.Json);
        using var approved = await anna.Http.PutAsJsonAsync(
            $"/v1/devices/{second.Id}/approval", new ApproveDeviceRequest(second.IdentitySignature, [4, 5, 6]), Wire.Json);
        var keys = new ListedKeys(device.Id, device.SignatureKey, device.LinkKey, 1);
        using var listed = await anna.Http.PutAsJsonAsync(
            "/v1/me/device-list", new PublishDeviceListRequest(ListContent.First(anna, keys, device.Identity).Encode()), Wire.Json);
        using var founded = await anna.Http.PostAsJsonAsync(
            "/v1/rooms", new CreateRoomRequest(RoomKind.Group, [], Scheme: Schemes.Mls10, Founding: TestTrust.Founding(anna)), Wire.Json);
        await device.StockUpAsync(2, lastResort: true);
        await second.StockUpAsync(2);
        var group = await ben.CreateMlsRoomAsync(anna);
        var claimed = await ben.ClaimAsync(anna);
        await ben.CommitAsync(group.Id, 0, welcomes: [TestMls.Welcome([.. claimed.Select(package => package.KeyPackage)])]);
        var commit = await anna.CommitAsync(group.Id, 1);
        using var report = await anna.Http.PostAsJsonAsync($"/v1/rooms/{group.Id}/invalid-commits", new ReportInvalidCommitRequest(commit.Seq), Wire.Json);
        // Each report of the owner resets the group: a strike against the author, who must wait after the second one.
        var struck = await ben.CreateMlsRoomAsync(anna);
        var broken = await anna.CommitAsync(struck.Id, 0);
        using var reset = await ben.Http.PostAsJsonAsync($"/v1/rooms/{struck.Id}/invalid-commits", new ReportInvalidCommitRequest(broken.Seq), Wire.Json);
        broken = await anna.CommitAsync(struck.Id, 0, generation: 1);
        using var again = await ben.Http.PostAsJsonAsync($"/v1/rooms/{struck.Id}/invalid-commits", new ReportInvalidCommitRequest(broken.Seq), Wire.Json);
        foreach (var response in new[]
        {
            reset, again, labelled, renamed, retracted, settings, own, push, ticket, registered, approved, listed, founded, report,
        })
            response.EnsureSuccessStatusCode();
        return room;
    }

    private static async Task<JsonElement> ReadAsync(TestUser user)
    {
        using var response = await user.Http.GetAsync("/v1/me/data");
        Assert.Equal(("application/json", "no-store"), (response.Content.Headers.ContentType!.MediaType, response.Headers.CacheControl!.ToString()));
        return await response.ReadAsync<JsonElement>();
    }

    private static async Task<long> SendAsync(TestUser user, Room room)
    {
        using var response = await user.Http.PostAsJsonAsync(
            $"/v1/rooms/{room.Id}/messages", new SendRequest(room.Id, Guid.NewGuid(), [1, 2, 3, 4, 5, 6, 7]), Wire.Json);
        return (await response.ReadAsync<SendAck>()).Seq;
    }
}

public sealed class PersonalDataTestsOnSqlite(SqliteServer server) : PersonalDataTests(server);

public sealed class PersonalDataTestsOnPostgres(PostgresServer server) : PersonalDataTests(server);
