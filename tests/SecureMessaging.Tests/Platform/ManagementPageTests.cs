using System.Net;
using System.Net.WebSockets;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>The playgrounds are at the management address, an origin other than the app's, and reach the API only from there.</summary>
public sealed class ManagementPageTests(SqliteServer server)
{
    private static readonly string[] Pages =
        ["/playground", "/playground/scalar.js", "/playground/start.js", "/graphql/ui", "/graphql/ui/start.js", "/graphql/ui/graphiql.min.js"];

    [Fact]
    public async Task The_playgrounds_are_only_at_the_management_address()
    {
        await using var node = await server.DedicatedAsync("--Management:Url=http://127.0.0.1:0");
        using var management = Management(node);
        foreach (var path in Pages)
        {
            using var page = await management.GetAsync(path);
            Assert.True(page.IsSuccessStatusCode, $"{path}: {page.StatusCode}");
            Assert.Equal("nosniff", page.Headers.GetValues("X-Content-Type-Options").Single());
            Assert.StartsWith("default-src 'none'", page.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
            await (await node.Http.GetAsync(path)).ReadErrorAsync(404, ErrorCode.NotFound);
        }

        foreach (var path in new[] { "/playground", "/graphql/ui" })
        {
            using var page = await management.GetAsync(path);
            Assert.Contains(node.Url.GetLeftPart(UriPartial.Authority), await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
            Assert.Contains($"connect-src ", page.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        }

        foreach (var path in new[] { "/", "/v1/limits", "/playground/other", "/graphql/ui/other.js", "/graphql/ui/..%2fstart.js" })
        {
            using var nothing = await management.GetAsync(path);
            Assert.Equal((path, HttpStatusCode.NotFound), (path, nothing.StatusCode));
        }

        Assert.Contains(node.Logs, line => line.Contains("/playground", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_invalid_host_is_not_written_into_the_page()
    {
        await using var node = await server.DedicatedAsync("--Management:Url=http://127.0.0.1:0");
        using var management = Management(node);
        foreach (var path in new[] { "/playground", "/graphql/ui" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.TryAddWithoutValidation("Host", "a'b;script-src*");
            using var page = await management.SendAsync(request);
            Assert.DoesNotContain("script-src*", page.Headers.ToString() + await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Only_pages_of_the_management_address_reach_the_api()
    {
        await using var node = await server.DedicatedAsync("--Management:Url=http://127.0.0.1:0");
        var port = new Uri(Address(node)).Port;
        foreach (var (origin, reaches) in new[]
        {
            ($"http://127.0.0.1:{port}", true), ($"http://localhost:{port}", true), ($"http://[::1]:{port}", true),
            ($"https://127.0.0.1:{port}", false), ($"http://127.0.0.1:{(port == 65535 ? port - 1 : port + 1)}", false), ($"http://evil.example:{port}", false),
            ("null", false),
        })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/limits") { Headers = { { "Origin", origin } } };
            using var response = await node.Http.SendAsync(request);
            Assert.Equal((origin, reaches), (origin, response.Headers.Contains("Access-Control-Allow-Origin")));
            Assert.Equal((origin, reaches ? HttpStatusCode.Unauthorized : HttpStatusCode.Forbidden), (origin, await ConnectAsync(node, origin)));
        }
    }

    [Fact]
    public async Task The_playgrounds_can_be_switched_off()
    {
        await using var node = await server.DedicatedAsync("--Management:Url=http://127.0.0.1:0", "--Server:Playground=false", "--GraphQL:Playground=false");
        using var management = Management(node);
        foreach (var path in Pages)
        {
            using var page = await management.GetAsync(path);
            Assert.Equal(HttpStatusCode.NotFound, page.StatusCode);
        }

        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/limits") { Headers = { { "Origin", Address(node) } } };
        using var response = await node.Http.SendAsync(request);
        Assert.False(response.Headers.Contains("Access-Control-Allow-Origin"));
    }

    private static string Address(TestServer node) => node.Services.GetRequiredService<ManagementService>().Address!;

    private static HttpClient Management(TestServer node) => new() { BaseAddress = new Uri(Address(node)) };

    private static async Task<HttpStatusCode> ConnectAsync(TestServer node, string origin)
    {
        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Origin", origin);
        socket.Options.CollectHttpResponseDetails = true;
        await Assert.ThrowsAsync<WebSocketException>(
            () => socket.ConnectAsync(new Uri($"ws://127.0.0.1:{node.Url.Port}{Wire.HubPath}"), CancellationToken.None));
        return socket.HttpStatusCode;
    }
}
