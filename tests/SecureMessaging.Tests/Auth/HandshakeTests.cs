using System.Net.WebSockets;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Auth;

/// <summary>Who gets a WebSocket: tickets and origins.</summary>
public abstract class HandshakeTests(TestServer server)
{
    [Fact]
    public async Task A_ticket_opens_one_socket()
    {
        await using var user = await server.SignUpAsync();
        var ticket = await TicketAsync(user);
        Assert.Equal(101, await OpenAsync(server, $"?ticket={ticket}"));
        Assert.Equal(401, await OpenAsync(server, $"?ticket={ticket}"));
    }

    [Fact]
    public async Task Of_many_simultaneous_uses_of_a_ticket_one_succeeds()
    {
        await using var user = await server.SignUpAsync();
        var ticket = await TicketAsync(user);
        var statuses = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => OpenAsync(server, $"?ticket={ticket}")));
        Assert.Single(statuses, 101);
        Assert.Equal(19, statuses.Count(status => status == 401));
    }

    [Fact]
    public async Task A_ticket_lives_thirty_seconds()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        var (first, second) = (await TicketAsync(user), await TicketAsync(user));
        own.Time.Advance(TimeSpan.FromSeconds(25));
        Assert.Equal(101, await OpenAsync(own, $"?ticket={first}"));
        own.Time.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal(401, await OpenAsync(own, $"?ticket={second}"));
    }

    [Fact]
    public async Task A_ticket_ends_with_its_session()
    {
        await using var user = await server.SignUpAsync();
        var ticket = await TicketAsync(user);
        using var loggedOut = await user.Http.PostAsync("/v1/auth/logout", null);
        Assert.Equal(204, (int)loggedOut.StatusCode);
        Assert.Equal(401, await OpenAsync(server, $"?ticket={ticket}"));
    }

    [Fact]
    public async Task Nothing_else_in_the_address_opens_anything()
    {
        await using var user = await server.SignUpAsync();
        var ticket = await TicketAsync(user);
        foreach (var query in new[]
        {
            "", "?ticket=", "?ticket=x", $"?ticket={new string('A', 43)}", $"?ticket={ticket}&ticket={ticket}", $"?access_token={user.Tokens.AccessToken}",
            $"?ticket={user.Tokens.AccessToken}", $"?ticket={user.Tokens.RefreshToken}", "?ticket=%00",
            $"?ticket={new string('~', 43)}", $"?ticket={new string('A', 42)}/", $"?ticket={string.Concat(Enumerable.Repeat("%E9", 43))}", $"?ticket={new string('A', 42)}%20",
            $"?access_token={new string('~', 43)}",
        })
            Assert.Equal(401, await OpenAsync(server, query));
        using var elsewhere = await server.Http.GetAsync($"/v1/me?ticket={ticket}");
        Assert.Equal(401, (int)elsewhere.StatusCode);
        Assert.Equal(101, await OpenAsync(server, $"?ticket={ticket}"));
    }

    [Fact]
    public async Task Only_known_origins_get_a_socket_and_a_refusal_does_not_spend_the_ticket()
    {
        await using var own = await server.DedicatedAsync("--Server:AllowedOrigins:0=https://chat.example.org");
        await using var user = await own.SignUpAsync();
        var self = own.Url.GetLeftPart(UriPartial.Authority);
        var ticket = await TicketAsync(user);
        foreach (var origin in new[]
        {
            "https://evil.example", "null", "", "https://chat.example.org.evil.example", "https://evilchat.example.org", "http://chat.example.org", "https://chat.example.org:8443",
            "https://chat.example.org/", "HTTPS://CHAT.EXAMPLE.ORG", "https://sub.chat.example.org", "https://chat.example.org https://evil.example", self + "/", self + ".evil.example",
            self.Replace("http:", "https:", StringComparison.Ordinal), "http://localhost", "file://",
        })
        {
            foreach (var path in new[] { Wire.HubPath, "/HUBS/Chat" })
                Assert.Equal(403, await OpenAsync(own, $"?ticket={ticket}", origin, path));
        }

        Assert.Equal(101, await OpenAsync(own, $"?ticket={ticket}", "https://chat.example.org"));
        Assert.Equal(101, await OpenAsync(own, $"?ticket={await TicketAsync(user)}", self));
        Assert.Equal(101, await OpenAsync(own, $"?ticket={await TicketAsync(user)}", origin: null));
        Assert.Equal(403, await OpenAsync(own, "", "https://evil.example", "/any/other/path"));
    }

    [Fact]
    public async Task Cross_origin_reads_follow_the_same_list_and_never_carry_credentials()
    {
        await using var own = await server.DedicatedAsync("--Server:AllowedOrigins:0=https://chat.example.org");
        foreach (var (origin, allowed) in new[] { ("https://chat.example.org", true), ("https://evil.example", false), ("null", false) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Options, "/v1/me");
            request.Headers.Add("Origin", origin);
            request.Headers.Add("Access-Control-Request-Method", "PATCH");
            request.Headers.Add("Access-Control-Request-Headers", "authorization");
            using var response = await own.Http.SendAsync(request);
            Assert.Equal(allowed, response.Headers.Contains("Access-Control-Allow-Origin"));
            Assert.False(response.Headers.Contains("Access-Control-Allow-Credentials"));
        }
    }

    [Theory]
    [InlineData("*")]
    [InlineData("null")]
    [InlineData("https://chat.example.org/")]
    [InlineData("chat.example.org")]
    [InlineData("https://*.example.org")]
    public async Task A_list_with_what_is_no_origin_stops_the_start(string origin) =>
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await using var never = await server.DedicatedAsync($"--Server:AllowedOrigins:0={origin}");
        });

    private static async Task<string> TicketAsync(TestUser user)
    {
        using var response = await user.Http.PostAsync("/v1/auth/ticket", null);
        return (await response.ReadAsync<TicketResponse>()).Ticket;
    }

    /// <summary>The status of the handshake: 101 is an open socket.</summary>
    private static async Task<int> OpenAsync(TestServer on, string query, string? origin = null, string path = Wire.HubPath)
    {
        using var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;
        if (origin is not null)
            socket.Options.SetRequestHeader("Origin", origin);
        try
        {
            await socket.ConnectAsync(new UriBuilder(on.Url) { Scheme = "ws", Path = path, Query = query }.Uri, CancellationToken.None);
        }
        catch (WebSocketException)
        {
            // The status says why.
        }

        return (int)socket.HttpStatusCode;
    }
}

public sealed class HandshakeTestsOnSqlite(SqliteServer server) : HandshakeTests(server);

public sealed class HandshakeTestsOnPostgres(PostgresServer server) : HandshakeTests(server);
