using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>Guarantees of every response, also of those without an endpoint.</summary>
public sealed class EveryAnswerTests(SqliteServer server, PostgresServer postgres)
{
    private const string Allowed = "https://app.example.org";

    public static TheoryData<string, string, int> Early { get; } = new()
    {
        { "GET", "/v1/nothing", 404 },
        { "GET", "/nothing", 404 },
        { "DELETE", "/v1/limits", 405 },
        { "POST", "/v1/auth/token text/plain", 415 },
        { "POST", "/v1/auth/token {}", 400 },
        { "POST", "/v1/auth/token large", 413 },
        { "POST", "/v1/auth/token often", 429 },
        { "POST", "/hubs/chat/negotiate?negotiateVersion=1", 400 },
        { "GET", "/hubs/chat", 400 },
        { "GET", "/v1/me", 401 },
        { "GET", "/v1/rooms/heads?x=%ff", 401 },
        { "GET", "/v1/limits", 200 },
        { "HEAD", "/v1/limits", 200 },
        { "POST", "/graphql", 415 },
    };

    [Theory, MemberData(nameof(Early))]
    public async Task A_page_of_an_allowed_origin_can_read_every_response(string method, string target, int status)
    {
        var often = target.EndsWith("often", StringComparison.Ordinal);
        await using var node = await server.DedicatedAsync(
            $"--Server:AllowedOrigins:0={Allowed}", $"--RateLimits:Enabled={often}", "--RateLimits:SignIns:Burst=1", "--RateLimits:SignIns:PerMinute=0.01");
        foreach (var (origin, shares) in new[] { (Allowed, true), ("https://evil.example", false) })
        {
            if (often)
                (await SendAsync(node, method, "/v1/auth/token {}", origin)).Dispose();
            using var response = await SendAsync(node, method, target, origin);
            Assert.Equal(status, (int)response.StatusCode);
            Assert.Equal(shares, response.Headers.TryGetValues("Access-Control-Allow-Origin", out var values) && values.Single() == Allowed);
            if (status == 429)
                Assert.NotNull(response.Headers.RetryAfter);
        }
    }

    [Fact]
    public async Task A_page_of_an_allowed_origin_can_read_the_error_of_a_full_hash_queue()
    {
        await using var node = await server.DedicatedAsync($"--Server:AllowedOrigins:0={Allowed}", "--Auth:HashQueue=1");
        // On a busy machine the requests of one round may arrive one after the other.
        await Eventually.TrueAsync(async () => (await Task.WhenAll(Enumerable.Range(0, 40).Select(async i =>
        {
            using var response = await SendAsync(
                node, "POST", $"/v1/auth/token {{\"username\":\"unknown-{i}\",\"password\":\"a-long-enough-password\"}}", Allowed);
            AssertShared(response);
            if ((int)response.StatusCode == 503)
                Assert.NotNull(response.Headers.RetryAfter);
            return (int)response.StatusCode;
        }))).Contains(503));
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task A_page_of_an_allowed_origin_can_read_the_error_of_a_database_outage()
    {
        await using var node = await postgres.DedicatedAsync($"--Server:AllowedOrigins:0={Allowed}");
        await using var anna = await node.SignUpAsync();
        anna.Http.DefaultRequestHeaders.Add("Origin", Allowed);
        await TestPostgres.DropDatabaseAsync(node.PostgresConnection!);
        foreach (var path in new[] { "/v1/me", "/health/ready", "/graphql?query={limits{pageEntries}}" })
        {
            using var response = await anna.Http.GetAsync(path);
            Assert.Equal((path, 503), (path, (int)response.StatusCode));
            AssertShared(response);
        }
    }

    [Fact]
    public async Task A_page_of_an_allowed_origin_can_read_the_error_of_a_stopping_server()
    {
        using var directory = new TestDirectory();
        await using var node = new ServerProcess(
            directory.Path, null, $"--Server:AllowedOrigins:0={Allowed}", "--Drain:Stagger=00:00:30", "--Drain:Patience=00:00:30");
        await node.StartAsync();
        await using var anna = await TestPeople.SignUpAsync(node.Url);
        // The node waits while this connection is open.
        await anna.ConnectAsync();
        anna.Http.DefaultRequestHeaders.Add("Origin", Allowed);
        node.Terminate();
        foreach (var path in new[] { "/hubs/chat", "/hubs/chat/negotiate", "/health/ready" })
        {
            await Eventually.TrueAsync(async () =>
            {
                using var response = await anna.Http.GetAsync(path);
                AssertShared(response);
                return (int)response.StatusCode == 503;
            });
        }
    }

    [Fact]
    public async Task Responses_forbid_framing_and_type_sniffing()
    {
        var paths = server.Services.GetServices<EndpointDataSource>().SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .SelectMany(endpoint => (endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"])
                .Select(method =>
                    (method, "/" + string.Join('/', endpoint.RoutePattern.PathSegments.Select(segment => string.Concat(segment.Parts.Select(part =>
                    part is Microsoft.AspNetCore.Routing.Patterns.RoutePatternLiteralPart literal ? literal.Content : Guid.NewGuid().ToString())))))))
            .Concat(Early.Select(row => (row.Data.Item1, row.Data.Item2))).Append(("GET", "/")).ToList();
        Assert.True(paths.Count > 60, $"{paths.Count}");
        foreach (var (method, path) in paths.Where(path => path.Item1 != "CONNECT"))
        {
            using var response = await SendAsync(server, method, path, null);
            Assert.True(
                response.Headers.TryGetValues("X-Content-Type-Options", out var options) && options.Single() == "nosniff"
                && response.Headers.TryGetValues("Content-Security-Policy", out var policies)
                    && policies.Single().StartsWith("default-src 'none'", StringComparison.Ordinal)
                && policies.Single().Contains("frame-ancestors 'none'", StringComparison.Ordinal),
                $"{method} {path}: {response.Headers}");
        }
    }

    [Fact]
    public async Task HEAD_is_answered_like_GET_everywhere()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var paths = server.Services.GetServices<EndpointDataSource>().SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .Where(endpoint => endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods.Contains("GET") is true
                && endpoint.RoutePattern.RawText != "/graphql")
            .Select(endpoint => "/" + endpoint.RoutePattern.RawText!.Trim('/')
                .Replace("{roomId:guid}", $"{room.Id}", StringComparison.Ordinal).Replace("{username}", anna.Username, StringComparison.Ordinal)
                .Replace("{deviceId:guid}", $"{Guid.NewGuid()}", StringComparison.Ordinal))
            .Append("/graphql?query={limits{pageEntries}}").ToList();
        Assert.True(paths.Count > 20, $"{paths.Count}");
        foreach (var path in paths)
        {
            using var get = await anna.Http.GetAsync(path);
            using var request = new HttpRequestMessage(HttpMethod.Head, path);
            using var head = await anna.Http.SendAsync(request);
            Assert.True(get.StatusCode == head.StatusCode, $"{path}: {get.StatusCode} {head.StatusCode}");
            Assert.Empty(await head.Content.ReadAsByteArrayAsync());
            Assert.Equal(get.Content.Headers.ContentType, head.Content.Headers.ContentType);
            Assert.Equal(get.Headers.ETag, head.Headers.ETag);
        }
    }

    private static void AssertShared(HttpResponseMessage response) => Assert.Equal([Allowed], response.Headers.GetValues("Access-Control-Allow-Origin"));

    private static async Task<HttpResponseMessage> SendAsync(TestServer node, string method, string target, string? origin)
    {
        var (path, body) = target.Split(' ') is [var only, var what] ? (only, what) : (target, null);
        using var http = new HttpClient { BaseAddress = node.Url };
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (origin is not null)
            request.Headers.Add("Origin", origin);
        if (body is not null)
        {
            var text = body switch { "large" => $$"""{"username":"{{new string('x', 9000)}}"}""", "often" => "{}", ['{', ..] => body, _ => "text" };
            request.Content = new StringContent(text, Encoding.UTF8, body == "text/plain" ? "text/plain" : "application/json");
            request.Headers.ExpectContinue = body == "large";
        }

        return await http.SendAsync(request);
    }
}

/// <summary>Headers that clients write in other forms than browsers do.</summary>
public sealed class HeaderGrammarTests(SqliteServer server)
{
    private const string H2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";

    [Theory]
    [InlineData("GET /v1/limits", "", 200)]
    [InlineData("GET /v1/nothing", "", 404)]
    [InlineData("GET /hubs/chat", "", 400)]
    [InlineData("GET /v1/limits", "Origin: https://elsewhere.example\r\n", 200)]
    [InlineData("POST /v1/auth/token", """{"username":"unknown","password":"a long enough password"}""", 401)]
    public async Task An_offer_of_another_protocol_is_ignored(string target, string rest, int status)
    {
        var isBody = rest.StartsWith('{');
        var head = await RawAsync(
            $"{target} HTTP/1.1\r\nHost: {server.Url.Authority}\r\n{H2c}"
            + $"{(isBody ? $"Content-Type: application/json\r\nContent-Length: {rest.Length}\r\n\r\n{rest}" : $"{rest}\r\n")}");
        Assert.StartsWith($"HTTP/1.1 {status} ", head, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Offers_of_other_protocols_are_not_counted_as_connects()
    {
        await using var node = await server.DedicatedAsync(
            "--RateLimits:Enabled=true", "--RateLimits:ConnectsOfAddress:Burst=1", "--RateLimits:ConnectsOfAddress:PerMinute=0.01");
        for (var i = 0; i < 3; i++)
            Assert.StartsWith(
                "HTTP/1.1 200 ", await RawAsync($"GET /v1/limits HTTP/1.1\r\nHost: {node.Url.Authority}\r\n{H2c}\r\n", node), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("websocket", "127.0.0.1", null, 401)]
    [InlineData("WebSocket", "127.0.0.1", null, 401)]
    [InlineData("h2c, websocket", "127.0.0.1", null, 401)]
    [InlineData("websocket", "LOCALHOST", "http://localhost", 401)]
    [InlineData("websocket", "localhost", "http://localhost.example", 403)]
    [InlineData("websocket", "localhost", "null", 403)]
    [InlineData("h2c, websocket", "localhost", "https://evil.example", 403)]
    public async Task The_upgrade_token_matches_in_any_case_and_in_a_list(string upgrade, string host, string? origin, int status)
    {
        var (port, from) =
            (server.Url.Port, origin is null ? "" : $"Origin: {origin}{(origin.Contains("//", StringComparison.Ordinal) ? $":{server.Url.Port}" : "")}\r\n");
        var head = await RawAsync(
            $"GET /hubs/chat HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {upgrade}\r\n"
            + $"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{from}\r\n");
        Assert.StartsWith($"HTTP/1.1 {status} ", head, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/hubs/chat", "\"websocket\"")]
    [InlineData("/hubs/admin", "\"websocket\"")]
    [InlineData("/graphql", "\"websocket\"")]
    [InlineData("/graphql", "h2c, \"websocket\"")]
    [InlineData("/graphql", "\"WebSocket\" , x")]
    public async Task Every_request_that_the_framework_upgrades_has_its_origin_checked(string target, string upgrade)
    {
        var head = await RawAsync(
            $"GET {target} HTTP/1.1\r\nHost: {server.Url.Authority}\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n"
            + $"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://evil.example\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 403 ", head, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("application/json; charset=\"utf-8\"", null, 401)]
    [InlineData("application/json;charset=\"UTF-8\"", null, 401)]
    [InlineData("application/json; charset=utf8", null, 401)]
    [InlineData("APPLICATION/JSON", null, 401)]
    [InlineData("application/json; profile=\"x\"; charset=utf-8", null, 401)]
    [InlineData("application/json", "IDENTITY", 401)]
    [InlineData("application/json", "identity, identity", 401)]
    [InlineData("application/json", "", 401)]
    [InlineData("application/json", "identity, gzip", 415)]
    [InlineData("application/json; charset=\"utf-16\"", null, 415)]
    public async Task Media_type_and_content_coding_are_read_by_their_grammar(string type, string? coding, int status)
    {
        const string body = """{"username":"unknown","password":"a long enough password"}""";
        var head = await RawAsync(
            $"POST /v1/auth/token HTTP/1.1\r\nHost: {server.Url.Authority}\r\nConnection: close\r\nContent-Type: {type}\r\n"
            + $"{(coding is null ? "" : $"Content-Encoding: {coding}\r\n")}Content-Length: {body.Length}\r\n\r\n{body}");
        Assert.StartsWith($"HTTP/1.1 {status} ", head, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{0}", 304)]
    [InlineData("W/{0}", 304)]
    [InlineData("\"other\", {0}", 304)]
    [InlineData("\"other\",W/{0}", 304)]
    [InlineData("*", 304)]
    [InlineData("\"other\"", 200)]
    [InlineData("nonsense", 200)]
    public async Task Entity_tags_are_compared_weakly_and_come_in_lists(string condition, int status)
    {
        foreach (var path in new[] { "/v1/limits", "/openapi/v1.json", "/llms.txt" })
        {
            var tag = (await server.Http.GetAsync(path)).Headers.ETag!.ToString();
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.TryAddWithoutValidation("If-None-Match", string.Format(null, condition, tag));
            using var response = await server.Http.SendAsync(request);
            Assert.Equal((status, path), ((int)response.StatusCode, path));
        }
    }

    [Theory]
    [InlineData("bearer")]
    [InlineData("BEARER")]
    [InlineData("Bearer ")]
    public async Task The_name_of_an_authentication_scheme_is_case_insensitive(string scheme)
    {
        await using var anna = await server.SignUpAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/me");
        request.Headers.TryAddWithoutValidation("Authorization", $"{scheme} {anna.Tokens.AccessToken}");
        using var http = new HttpClient { BaseAddress = server.Url };
        using var response = await http.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData("*/*", "application/json")]
    [InlineData("application/*", "application/json")]
    [InlineData("application/json;q=0.4, application/graphql-response+json;q=0.5", "application/graphql-response+json")]
    [InlineData("application/graphql-response+json;q=0.1, */*;q=0.9", "application/json")]
    [InlineData("application/json;q=0, */*", "application/graphql-response+json")]
    [InlineData("*/*;q=0.5, application/graphql-response+json", "application/graphql-response+json")]
    [InlineData("application/json; charset=\"utf-8\"", "application/json")]
    [InlineData("text/html, application/json;q=0, application/graphql-response+json;q=0", null)]
    public async Task The_response_has_the_preferred_media_type(string accept, string? type)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/graphql?query={__typename}");
        request.Headers.TryAddWithoutValidation("Accept", accept);
        using var response = await server.Http.SendAsync(request);
        Assert.Equal(type is null ? 406 : 200, (int)response.StatusCode);
        if (type is not null)
            Assert.Equal(type, response.Content.Headers.ContentType?.MediaType);
    }

    private async Task<string> RawAsync(string request, TestServer? node = null)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        using var socket = new TcpClient();
        await socket.ConnectAsync("127.0.0.1", (node ?? server).Url.Port, timeout.Token);
        await using var stream = socket.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request), timeout.Token);
        var buffer = new byte[16 * 1024];
        var read = await stream.ReadAtLeastAsync(buffer, 16, throwOnEndOfStream: false, timeout.Token);
        return Encoding.UTF8.GetString(buffer, 0, read);
    }
}
