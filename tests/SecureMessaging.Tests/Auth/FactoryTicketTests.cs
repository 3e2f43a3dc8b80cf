using System.Net;
using System.Net.WebSockets;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Auth;

/// <summary>
/// A ticket in the place where SignalR's clients put the result of <c>accessTokenFactory</c> opens the hub once. A token in a URL never does.
/// </summary>
public abstract class FactoryTicketTests(TestServer server)
{
    [Theory]
    [InlineData("?access_token={0}", null)]
    [InlineData("?id=1&access_token={0}", null)]
    [InlineData("", "Bearer {0}")]
    [InlineData("", "bearer {0}")]
    public async Task A_ticket_of_the_factory_opens_the_hub_once(string query, string? header)
    {
        await using var anna = await server.SignUpAsync();
        var ticket = await anna.TicketAsync();
        Assert.Equal(HttpStatusCode.SwitchingProtocols, await OpenAsync(
            string.Format(null, query, ticket), header is null ? null : string.Format(null, header, ticket)));
        Assert.Equal(
            HttpStatusCode.Unauthorized, await OpenAsync(string.Format(null, query, ticket), header is null ? null : string.Format(null, header, ticket)));
    }

    [Fact]
    public async Task A_token_in_the_url_opens_nothing()
    {
        await using var anna = await server.SignUpAsync();
        Assert.Equal(HttpStatusCode.Unauthorized, await OpenAsync($"?access_token={anna.Tokens.AccessToken}", null));
        Assert.Equal(HttpStatusCode.Unauthorized, await OpenAsync($"?access_token={anna.Tokens.RefreshToken}", null));
        var ticket = await anna.TicketAsync();
        Assert.Equal(HttpStatusCode.Unauthorized, await OpenAsync($"?access_token={ticket}&access_token={ticket}", null));
        Assert.Equal(HttpStatusCode.SwitchingProtocols, await OpenAsync("", $"Bearer {anna.Tokens.AccessToken}"));
    }

    [Fact]
    public async Task Outside_of_the_hub_the_ticket_grants_nothing()
    {
        await using var anna = await server.SignUpAsync();
        var ticket = await anna.TicketAsync();
        await (await server.Http.GetAsync($"/v1/me?access_token={ticket}")).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        Assert.Equal(HttpStatusCode.SwitchingProtocols, await OpenAsync($"?access_token={ticket}", null));
    }

    private async Task<HttpStatusCode> OpenAsync(string query, string? authorization)
    {
        using var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;
        if (authorization is not null)
            socket.Options.SetRequestHeader("Authorization", authorization);
        try
        {
            await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{server.Url.Port}{Wire.HubPath}{query}"), CancellationToken.None);
        }
        catch (WebSocketException)
        {
            // The status has the reason.
        }

        return socket.HttpStatusCode;
    }
}

public sealed class FactoryTicketTestsOnSqlite(SqliteServer server) : FactoryTicketTests(server);

public sealed class FactoryTicketTestsOnPostgres(PostgresServer server) : FactoryTicketTests(server);
