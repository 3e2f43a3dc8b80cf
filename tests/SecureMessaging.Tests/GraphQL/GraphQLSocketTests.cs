using System.Net;
using System.Net.WebSockets;
using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>The subprotocol in detail, and access to it.</summary>
public abstract class GraphQLSocketTests(TestServer server)
{
    [Fact]
    public async Task Without_the_subprotocol_the_WebSocket_is_closed()
    {
        await using var socket = await GraphQLTestSocket.OpenAsync(server.Url, "graphql-ws");
        Assert.Equal(4406, await socket.ClosedAsync());
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task An_unauthenticated_WebSocket_is_closed()
    {
        await using var silent = await GraphQLTestSocket.OpenAsync(server.Url);
        await using var anonymous = await GraphQLTestSocket.OpenAsync(server.Url);
        await anonymous.SendAsync(new { type = "connection_init" });
        Assert.Equal(4403, await anonymous.ClosedAsync());
        await using var forger = await GraphQLTestSocket.OpenAsync(server.Url);
        await forger.SendAsync(new { type = "connection_init", payload = new { accessToken = "eyJhbGciOiJub25lIn0.e30." } });
        Assert.Equal(4403, await forger.ClosedAsync());
        await using var hasty = await GraphQLTestSocket.OpenAsync(server.Url);
        await hasty.SubscribeAsync("{ limits { pageEntries } }");
        Assert.Equal(4401, await hasty.ClosedAsync());
        Assert.Equal(4408, await silent.ClosedAsync());
    }

    [Fact]
    public async Task A_ticket_opens_one_WebSocket()
    {
        await using var anna = await server.SignUpAsync();
        var ticket = (await anna.Http.AskAsync("mutation { issueTicket { ticket expiresIn } }")).GetProperty("issueTicket").GetProperty("ticket").GetString();
        await using var first = await GraphQLTestSocket.OpenAsync(server.Url);
        await first.SendAsync(new { type = "connection_init", payload = new { ticket } });
        await first.Acknowledged.Task.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(
            anna.Username, (await (await first.SubscribeAsync("{ me { username } }")).NextAsync()).GetProperty("me").GetProperty("username").GetString());
        await using var second = await GraphQLTestSocket.OpenAsync(server.Url);
        await second.SendAsync(new { type = "connection_init", payload = new { ticket } });
        Assert.Equal(4403, await second.ClosedAsync());
    }

    [Theory]
    [InlineData("https://evil.example")]
    [InlineData("null")]
    [InlineData("http://127.0.0.1")]
    public async Task A_foreign_origin_is_rejected_before_the_upgrade(string origin)
    {
        await using var anna = await server.SignUpAsync();
        var refused = await Assert.ThrowsAsync<WebSocketException>(() => GraphQLTestSocket.OpenAsync(server.Url, configure: options =>
        {
            options.SetRequestHeader("Origin", origin);
            options.SetRequestHeader("Authorization", $"Bearer {anna.Tokens.AccessToken}");
        }));
        Assert.Contains("403", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_upgrades_authorization_is_used_and_an_invalid_one_is_rejected()
    {
        await using var anna = await server.SignUpAsync();
        await using var socket = await GraphQLTestSocket.OpenAsync(
            server.Url, configure: options => options.SetRequestHeader("Authorization", $"Bearer {anna.Tokens.AccessToken}"));
        await socket.SendAsync(new { type = "connection_init" });
        await socket.Acknowledged.Task.WaitAsync(TimeSpan.FromSeconds(10));
        var refused = await Assert.ThrowsAsync<WebSocketException>(() =>
            GraphQLTestSocket.OpenAsync(server.Url, configure: options => options.SetRequestHeader("Authorization", "Bearer nonsense")));
        Assert.Contains("401", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{", 4400)]
    [InlineData("[]", 4400)]
    [InlineData("{}", 4400)]
    [InlineData("""{"type":"\ud800"}""", 4400)]
    [InlineData("""{"type":"subscribe","id":"1","payload":{"query":"\ud800"}}""", 4400)]
    [InlineData("""{"type":"nothing"}""", 4400)]
    [InlineData("""{"type":"subscribe"}""", 4400)]
    [InlineData("""{"type":"subscribe","id":"1"}""", 4400)]
    [InlineData("""{"type":"subscribe","id":"","payload":{"query":"{ __typename }"}}""", 4400)]
    [InlineData("""{"type":"subscribe","id":"1","id":"2","payload":{"query":"{ __typename }"}}""", 4400)]
    [InlineData("""{"type":"connection_init"}""", 4429)]
    public async Task An_invalid_message_closes_the_WebSocket(string message, int code)
    {
        await using var anna = await server.SignUpAsync();
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, anna.Tokens.AccessToken);
        await socket.SendTextAsync(message);
        Assert.Equal(code, await socket.ClosedAsync());
    }

    [Fact]
    public async Task Oversize_and_binary_messages_close_the_WebSocket()
    {
        await using var anna = await server.SignUpAsync();
        await using var large = await GraphQLTestSocket.ConnectAsync(server.Url, anna.Tokens.AccessToken);
        await Record.ExceptionAsync(() => large.SendTextAsync($$$"""{"type":"ping","payload":{"a":"{{{new string('x', 600_000)}}}"}}"""));
        Assert.Contains(await large.ClosedAsync(), new int?[] { 4400, null });
        await using var binary = await GraphQLTestSocket.ConnectAsync(server.Url, anna.Tokens.AccessToken);
        await binary.SendTextAsync("""{"type":"ping"}""", WebSocketMessageType.Binary);
        Assert.Equal(4400, await binary.ClosedAsync());
    }

    [Fact]
    public async Task Operations_have_unique_ids_and_a_bound()
    {
        await using var anna = await server.SignUpAsync();
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, anna.Tokens.AccessToken);
        await socket.SendAsync(new { type = "ping" });
        Assert.Equal("pong", (await socket.Others.Reader.ReadAsync()).GetProperty("type").GetString());
        for (var i = 0; i < 32; i++)
            await socket.SubscribeAsync(GraphQLSubscriptionTests.Changes);
        var refused = await (await socket.SubscribeAsync(GraphQLSubscriptionTests.Changes)).ErrorAsync();
        Assert.Equal(ErrorCode.RateLimited, GraphQLCalls.CodeOf(GraphQLSubscriptionTests.Errors(refused)));
        await socket.SendAsync(new { type = "complete", id = "s1" });
        // Its id is free again, and the other one's is not.
        var room = await anna.CreateRoomAsync([]);
        var again = await socket.SubscribeAsync(GraphQLSubscriptionTests.Changes, new { known = Array.Empty<Guid>() }, "s1");
        Assert.Equal(room.Id, (await again.NextAsync()).GetProperty("roomChanges").GetProperty("roomId").GetGuid());
        await socket.SubscribeAsync(GraphQLSubscriptionTests.Changes, null, "s1");
        Assert.Equal(4409, await socket.ClosedAsync());
    }

    [Fact]
    public async Task Operation_errors_leave_the_WebSocket_open_and_mutations_keep_their_order()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, anna.Tokens.AccessToken);
        var bad = await socket.SubscribeAsync("{ nothing }");
        Assert.Equal(ErrorCode.Invalid, GraphQLCalls.CodeOf(GraphQLSubscriptionTests.Errors(await bad.ErrorAsync())));
        var forbidden = await (await socket.SubscribeAsync("query($id: ID!) { room(id: $id) { id } }", new { id = Guid.NewGuid() })).PayloadAsync();
        Assert.Equal(ErrorCode.NotFound, GraphQLCalls.CodeOf(forbidden));
        var sends = new List<GraphQLTestSocket.Subscription>();
        for (var i = 0; i < 30; i++)
            sends.Add(await socket.SubscribeAsync("mutation($i: SendInput!) { send(input: $i) { seq } }", GraphQLTests.Envelope(room.Id, [(byte)i])));
        var seqs = new List<long>();
        foreach (var send in sends)
            seqs.Add((await send.NextAsync()).GetProperty("send").GetProperty("seq").GetInt64());
        Assert.Equal(Enumerable.Range(2, 30).Select(seq => (long)seq), seqs);
    }

    [Fact]
    public async Task Ending_a_session_closes_only_its_own_WebSockets()
    {
        await using var anna = await server.SignUpAsync();
        var other = await anna.SignInAsync();
        await using var kept = await GraphQLTestSocket.ConnectAsync(server.Url, anna.Tokens.AccessToken);
        await using var ended = await GraphQLTestSocket.ConnectAsync(server.Url, other.AccessToken);
        var subscription = await ended.SubscribeAsync(GraphQLSubscriptionTests.Changes);
        await anna.Http.AskAsync("mutation($id: ID!) { endSession(id: $id) }", new { id = other.SessionId });
        Assert.Equal(4401, await ended.Closed.Task.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.False(subscription.Completed.Task.IsCompleted);
        await (await kept.SubscribeAsync("{ me { id } }")).NextAsync();
    }

    [Fact]
    public async Task A_WebSocket_does_not_outlive_its_token()
    {
        await using var node = await server.DedicatedAsync("--Auth:AccessTokenLifetime=00:00:30");
        await using var anna = await node.SignUpAsync();
        node.Time.Advance(TimeSpan.FromSeconds(28));
        await using var socket = await GraphQLTestSocket.ConnectAsync(node.Url, anna.Tokens.AccessToken);
        Assert.Equal(4403, await socket.ClosedAsync());
    }

    [Fact]
    public async Task A_request_without_upgrade_gets_an_HTTP_response()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/graphql");
        request.Headers.TryAddWithoutValidation("Upgrade", "h2c");
        using var response = await server.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(ErrorCode.Invalid, GraphQLCalls.CodeOf(JsonSerializer.Deserialize<JsonElement>(await response.Content.ReadAsStringAsync())));
    }
}

public sealed class GraphQLSocketTestsOnSqlite(SqliteServer server) : GraphQLSocketTests(server);

public sealed class GraphQLSocketTestsOnPostgres(PostgresServer server) : GraphQLSocketTests(server);
