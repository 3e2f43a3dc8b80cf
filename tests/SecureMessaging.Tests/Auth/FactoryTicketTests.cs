using System.Net;
using System.Net.WebSockets;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Auth;

/// <summary>Where SignalR's own clients put what their <c>accessTokenFactory</c> returns, a ticket opens the hub once. A token never stands in a URL.</summary>
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
        var ticket = await TicketAsync(anna);
        Assert.Equal(HttpStatusCode.SwitchingProtocols, await OpenAsync(string.Format(null, query, ticket), header is null ? null : string.Format(null, header, ticket)));
        Assert.Equal(HttpStatusCode.Unauthorized, await OpenAsync(string.Format(null, query, ticket), header is null ? null : string.Format(null, header, ticket)));
    }

    [Fact]
    public async Task A_token_in_the_url_opens_nothing()
    {
        await using var anna = await server.SignUpAsync();
        Assert.Equal(HttpStatusCode.Unauthorized, await OpenAsync($"?access_token={anna.Tokens.AccessToken}", null));
        Assert.Equal(HttpStatusCode.Unauthorized, await OpenAsync($"?access_token={anna.Tokens.RefreshToken}", null));
        var ticket = await TicketAsync(anna);
        Assert.Equal(HttpStatusCode.Unauthorized, await OpenAsync($"?access_token={ticket}&access_token={ticket}", null));
        Assert.Equal(HttpStatusCode.SwitchingProtocols, await OpenAsync("", $"Bearer {anna.Tokens.AccessToken}"));
    }

    [Fact]
    public async Task Elsewhere_than_at_the_hub_it_is_nothing()
    {
        await using var anna = await server.SignUpAsync();
        var ticket = await TicketAsync(anna);
        await (await server.Http.GetAsync($"/v1/me?access_token={ticket}")).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        Assert.Equal(HttpStatusCode.SwitchingProtocols, await OpenAsync($"?access_token={ticket}", null));
    }

    private static async Task<string> TicketAsync(TestUser user)
    {
        using var issued = await user.Http.PostAsync("/v1/auth/ticket", null);
        return (await issued.ReadAsync<TicketResponse>()).Ticket;
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
            // The status says why.
        }

        return socket.HttpStatusCode;
    }
}

public sealed class FactoryTicketTestsOnSqlite(SqliteServer server) : FactoryTicketTests(server);

public sealed class FactoryTicketTestsOnPostgres(PostgresServer server) : FactoryTicketTests(server);
