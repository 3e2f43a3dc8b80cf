using System.Net.WebSockets;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Auth;

/// <summary>Access to WebSockets: tickets and origins.</summary>
public abstract class HandshakeTests(TestServer server)
{
    [Fact]
    public async Task A_ticket_opens_one_WebSocket()
    {
        await using var user = await server.SignUpAsync();
        var ticket = await user.TicketAsync();
        Assert.Equal(101, await OpenAsync(server, $"?ticket={ticket}"));
        Assert.Equal(401, await OpenAsync(server, $"?ticket={ticket}"));
    }

    [Fact]
    public async Task Of_many_simultaneous_uses_of_a_ticket_one_succeeds()
    {
        await using var user = await server.SignUpAsync();
        var ticket = await user.TicketAsync();
        var statuses = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => OpenAsync(server, $"?ticket={ticket}")));
        Assert.Single(statuses, 101);
        Assert.Equal(19, statuses.Count(status => status == 401));
    }

    [Fact]
    public async Task A_ticket_is_valid_for_30_seconds()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        var (first, second) = (await user.TicketAsync(), await user.TicketAsync());
        own.Time.Advance(TimeSpan.FromSeconds(25));
        Assert.Equal(101, await OpenAsync(own, $"?ticket={first}"));
        own.Time.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal(401, await OpenAsync(own, $"?ticket={second}"));
    }

    [Fact]
    public async Task A_ticket_ends_with_its_session()
    {
        await using var user = await server.SignUpAsync();
        var ticket = await user.TicketAsync();
        using var loggedOut = await user.Http.PostAsync("/v1/auth/logout", null);
        Assert.Equal(204, (int)loggedOut.StatusCode);
        Assert.Equal(401, await OpenAsync(server, $"?ticket={ticket}"));
    }

    [Fact]
    public async Task No_other_credential_in_the_URL_is_accepted()
    {
        await using var user = await server.SignUpAsync();
        var ticket = await user.TicketAsync();
        foreach (var query in new[]
        {
            "", "?ticket=", "?ticket=x", $"?ticket={new string('A', 43)}", $"?ticket={ticket}&ticket={ticket}", $"?access_token={user.Tokens.AccessToken}",
            $"?ticket={user.Tokens.AccessToken}", $"?ticket={user.Tokens.RefreshToken}", "?ticket=%00",
            $"?ticket={new string('~', 43)}", $"?ticket={new string('A', 42)}/", $"?ticket={string.Concat(Enumerable.Repeat("%E9", 43))}",
            $"?ticket={new string('A', 42)}%20",
            $"?access_token={new string('~', 43)}",
        })
            Assert.Equal(401, await OpenAsync(server, query));
        using var elsewhere = await server.Http.GetAsync($"/v1/me?ticket={ticket}");
        Assert.Equal(401, (int)elsewhere.StatusCode);
        Assert.Equal(101, await OpenAsync(server, $"?ticket={ticket}"));
    }

    [Fact]
    public async Task Only_allowed_origins_get_a_WebSocket_and_a_rejection_does_not_use_the_ticket()
    {
        await using var own = await server.DedicatedAsync("--Server:AllowedOrigins:0=https://chat.example.org");
        await using var user = await own.SignUpAsync();
        var self = own.Url.GetLeftPart(UriPartial.Authority);
        var ticket = await user.TicketAsync();
        foreach (var origin in new[]
        {
            "https://evil.example", "null", "", "https://chat.example.org.evil.example", "https://evilchat.example.org", "http://chat.example.org",
            "https://chat.example.org:8443",
            "https://chat.example.org/", "HTTPS://CHAT.EXAMPLE.ORG", "https://sub.chat.example.org", "https://chat.example.org https://evil.example",
            self + "/", self + ".evil.example",
            self.Replace("http:", "https:", StringComparison.Ordinal), "http://localhost", "file://",
        })
        {
            foreach (var path in new[] { Wire.HubPath, "/HUBS/Chat" })
                Assert.Equal(403, await OpenAsync(own, $"?ticket={ticket}", origin, path));
        }

        Assert.Equal(101, await OpenAsync(own, $"?ticket={ticket}", "https://chat.example.org"));
        Assert.Equal(101, await OpenAsync(own, $"?ticket={await user.TicketAsync()}", self));
        Assert.Equal(101, await OpenAsync(own, $"?ticket={await user.TicketAsync()}", origin: null));
        Assert.Equal(403, await OpenAsync(own, "", "https://evil.example", "/any/other/path"));
    }

    [Fact]
    public async Task Cross_origin_reads_use_the_same_list_and_never_allow_credentials()
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
    public async Task An_invalid_origin_in_the_list_stops_the_start(string origin) =>
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await using var never = await server.DedicatedAsync($"--Server:AllowedOrigins:0={origin}");
        });

    /// <summary>The status of the handshake; 101 is an open WebSocket.</summary>
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
            // The status has the reason.
        }

        return (int)socket.HttpStatusCode;
    }
}

public sealed class HandshakeTestsOnSqlite(SqliteServer server) : HandshakeTests(server);

public sealed class HandshakeTestsOnPostgres(PostgresServer server) : HandshakeTests(server);
