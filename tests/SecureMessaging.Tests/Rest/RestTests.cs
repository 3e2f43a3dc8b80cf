using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.RegularExpressions;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Rest;

/// <summary>Features of HTTP in REST: conditional requests and links between pages; and operations that other doors had first.</summary>
public abstract partial class RestTests(TestServer server)
{
    [Fact]
    public async Task Links_lead_through_the_log_in_both_directions()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        for (var i = 0; i < 22; i++)
            (await SendAsync(anna, room.Id)).EnsureSuccessStatusCode();

        Assert.Equal(Enumerable.Range(1, 23), (await FollowAsync(anna, $"/v1/rooms/{room.Id}/log?limit=5", "next")).SelectMany(page => page));
        Assert.Equal(Enumerable.Range(4, 20), (await FollowAsync(anna, $"/v1/rooms/{room.Id}/log?limit=7&afterSeq=3", "next")).SelectMany(page => page));
        var back = await FollowAsync(anna, $"/v1/rooms/{room.Id}/log?limit=5&beforeSeq=24", "prev");
        Assert.Equal([5, 5, 5, 5, 3], back.Select(page => page.Length));
        Assert.Equal(Enumerable.Range(1, 23), back.AsEnumerable().Reverse().SelectMany(page => page));

        var between = await anna.Http.GetFromJsonAsync<LogPage>($"/v1/rooms/{room.Id}/log?afterSeq=3&beforeSeq=6", Wire.Json);
        Assert.Equal([4L, 5], between!.Entries.Select(entry => entry.Seq));
        Assert.Equal((23, 1), (between.HeadSeq, between.FirstSeq));
        Assert.Empty((await anna.Http.GetFromJsonAsync<LogPage>($"/v1/rooms/{room.Id}/log?beforeSeq=1", Wire.Json))!.Entries);
    }

    [Fact]
    public async Task A_member_reads_back_to_its_join_and_others_read_nothing()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        await using var eve = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        for (var i = 0; i < 4; i++)
            (await SendAsync(anna, room.Id)).EnsureSuccessStatusCode();
        using var added = await anna.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/members", new AddMemberRequest(ben.Username), Wire.Json);
        added.EnsureSuccessStatusCode();
        (await SendAsync(anna, room.Id)).EnsureSuccessStatusCode();

        Assert.Equal([[6, 7]], await FollowAsync(ben, $"/v1/rooms/{room.Id}/log?limit=5&beforeSeq=100", "prev"));
        await (await eve.Http.GetAsync($"/v1/rooms/{room.Id}/log?beforeSeq=100")).ReadErrorAsync(404, ErrorCode.NotFound);
        foreach (var query in new[] { "beforeSeq=0", "beforeSeq=-1", "beforeSeq=5&limit=0", "beforeSeq=5&afterSeq=-1", "beforeSeq=x",
            "afterSeq=99999999999999999999" })
            await (await anna.Http.GetAsync($"/v1/rooms/{room.Id}/log?{query}")).ReadErrorAsync(400, ErrorCode.Invalid);
    }

    [Fact]
    public async Task Unchanged_content_is_not_sent_again()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var device = await ben.AddDeviceAsync();
        var room = await anna.CreateRoomAsync([ben]);
        var (log, keys) = ($"/v1/rooms/{room.Id}/log", $"/v1/users/{ben.Username}/devices");
        var tags = new Dictionary<string, EntityTagHeaderValue>(StringComparer.Ordinal);
        string[] paths =
        [
            "/v1/limits", keys, $"/v1/rooms/{room.Id}/devices", log, "/v1/rooms/heads", "/.well-known/jwks.json", "/.well-known/data-inventory",
            "/docs/wire.schema.json",
            "/docs", "/llms.txt", "/openapi/v1.json", "/graphql/schema.graphql",
        ];
        foreach (var path in paths)
        {
            using var response = await anna.Http.GetAsync(path);
            Assert.Equal(200, (int)response.StatusCode);
            tags[path] = response.Headers.ETag ?? throw new InvalidOperationException($"{path} has no ETag.");
            Assert.False(tags[path].IsWeak);
            if (path.StartsWith("/v1/", StringComparison.Ordinal))
                Assert.Equal(path == "/v1/limits" ? "no-cache" : "no-store", response.Headers.CacheControl?.ToString());
            Assert.Equal(304, await AskAsync(anna, path, tags[path]));
            Assert.Equal(304, await AskAsync(anna, path, new EntityTagHeaderValue("\"other\""), tags[path]));
            Assert.Equal(200, await AskAsync(anna, path, new EntityTagHeaderValue("\"other\"")));
        }

        (await SendAsync(anna, room.Id)).EnsureSuccessStatusCode();
        using var second = await device.AddDeviceAsync();
        Assert.Equal(200, await AskAsync(anna, log, tags[log]));
        Assert.Equal(200, await AskAsync(anna, "/v1/rooms/heads", tags["/v1/rooms/heads"]));
        Assert.Equal(200, await AskAsync(anna, keys, tags[keys]));
        Assert.Equal(304, await AskAsync(anna, "/v1/limits", tags["/v1/limits"]));
        // An old ETag reveals nothing to a caller without access.
        (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{ben.Id}")).EnsureSuccessStatusCode();
        Assert.Equal(404, await AskAsync(ben, log, tags[log]));
    }

    [Fact]
    public async Task A_signal_through_REST_reaches_connected_members()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        await using var eve = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([ben]);
        var connection = await ben.ConnectAsync();
        var path = $"/v1/rooms/{room.Id}/signals";
        using var sent = await anna.Http.PostAsJsonAsync(path, new SignalRequest([1, 2, 3]), Wire.Json);
        Assert.Equal(204, (int)sent.StatusCode);
        Assert.Equal([1, 2, 3], (byte[])(await connection.WaitAsync(nameof(IChatClient.Signaled)))[1]!);
        await (await eve.Http.PostAsJsonAsync(path, new SignalRequest([1]), Wire.Json)).ReadErrorAsync(404, ErrorCode.NotFound);
        await (await anna.Http.PostAsJsonAsync(path, new SignalRequest([]), Wire.Json)).ReadErrorAsync(400, ErrorCode.Invalid);
        await (await anna.Http.PostAsJsonAsync(path, new SignalRequest(new byte[1025]), Wire.Json)).ReadErrorAsync(413, ErrorCode.TooLarge);
        await (await server.Http.PostAsJsonAsync(path, new SignalRequest([1]), Wire.Json)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
    }

    [Fact]
    public async Task A_created_resource_is_at_its_Location()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var room = await anna.Http.PostAsJsonAsync("/v1/rooms", new CreateRoomRequest(RoomKind.Group, []), Wire.Json);
        using var device = new TestDevice(anna, TestDevice.NewKey(), anna.Http);
        using var registered = await anna.Http.PostAsJsonAsync("/v1/devices", device.Registration(), Wire.Json);
        foreach (var created in new[] { room, registered })
        {
            Assert.Equal(201, (int)created.StatusCode);
            Assert.Equal(await created.Content.ReadAsStringAsync(), await anna.Http.GetStringAsync(created.Headers.Location));
            await (await ben.Http.GetAsync(created.Headers.Location)).ReadErrorAsync(404, ErrorCode.NotFound);
        }
    }

    private static Task<HttpResponseMessage> SendAsync(TestUser user, Guid roomId) =>
        user.Http.PostAsJsonAsync($"/v1/rooms/{roomId}/messages", new SendRequest(roomId, Guid.NewGuid(), [1]), Wire.Json);

    private static async Task<int> AskAsync(TestUser user, string path, params EntityTagHeaderValue[] tags)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        foreach (var tag in tags)
            request.Headers.IfNoneMatch.Add(tag);
        using var response = await user.Http.SendAsync(request);
        var body = await response.Content.ReadAsByteArrayAsync();
        Assert.Equal((int)response.StatusCode == 304, body.Length == 0);
        return (int)response.StatusCode;
    }

    /// <summary>The seqs of the page and of the pages that its links of this relation lead to.</summary>
    private static async Task<List<int[]>> FollowAsync(TestUser user, string? path, string relation)
    {
        var pages = new List<int[]>();
        while (path is not null)
        {
            using var response = await user.Http.GetAsync(path);
            pages.Add([.. (await response.ReadAsync<LogPage>()).Entries.Select(entry => (int)entry.Seq)]);
            path = response.Headers.TryGetValues("Link", out var links)
                ? Link().Matches(string.Join(", ", links)).FirstOrDefault(match => match.Groups["relation"].Value == relation)?.Groups["target"].Value
                : null;
        }

        return pages;
    }

    [GeneratedRegex("""<(?<target>[^>]+)>; rel="(?<relation>\w+)""", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Link();
}

public sealed class RestTestsOnSqlite(SqliteServer server) : RestTests(server);

public sealed class RestTestsOnPostgres(PostgresServer server) : RestTests(server);
