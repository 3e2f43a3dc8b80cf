using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Rest;

/// <summary>Malicious requests. Each is rejected with a code of the catalogue and without a stack trace, and the server keeps running.</summary>
public abstract class HostileRequestTests(TestServer server)
{
    private const string Deep = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]";

    public static TheoryData<string, string> Bodies { get; } = new()
    {
        { "nothing", "" },
        { "null", "null" },
        { "no JSON", "{" },
        { "text", "\"kind\"" },
        { "a list", "[]" },
        { "a number", "1e400" },
        { "depth", new string('[', 8000) },
        { "depth of objects", string.Concat(Enumerable.Repeat("{\"a\":", 1500)) },
        { "depth in an unknown field", $$"""{"kind":"group","members":[],"more":{{Deep}}}""" },
        { "a name given twice", """{"kind":"group","members":[],"kind":"direct"}""" },
        { "a name given twice in another case", """{"kind":"group","members":[],"KIND":"direct"}""" },
        { "a field that is missing", """{"kind":"group"}""" },
        { "a field that is null", """{"kind":"group","members":null}""" },
        { "a member that is null", """{"kind":"group","members":[null]}""" },
        { "a number for a name", """{"kind":0,"members":[]}""" },
        { "an unknown enum value", """{"kind":"all","members":[]}""" },
        { "text for a list", """{"kind":"group","members":"ben"}""" },
        { "text for a number", """{"kind":"group","members":[],"timeToLiveSeconds":"60"}""" },
        { "a number too large", """{"kind":"group","members":[],"timeToLiveSeconds":99999999999}""" },
        { "a fraction", """{"kind":"group","members":[],"timeToLiveSeconds":60.5}""" },
        { "no base64", """{"kind":"group","members":[],"name":"&&"}""" },
        { "no id", """{"kind":"group","members":[],"id":"1"}""" },
        { "comments", """{"kind":"group",/* x */"members":[]}""" },
        { "a comma too many", """{"kind":"group","members":[],}""" },
        { "two values", """{"kind":"group","members":[]}{"kind":"group","members":[]}""" },
        { "half a character", """{"kind":"group","members":["\ud800"]}""" },
        { "a byte order mark of another encoding", "\ufffe{}" },
    };

    [Theory, MemberData(nameof(Bodies))]
    public async Task An_invalid_body_is_rejected(string what, string body)
    {
        Assert.NotEmpty(what);
        await using var anna = await server.SignUpAsync();
        using var response = await anna.Http.PostTextAsync("/v1/rooms", body);
        await response.ReadErrorAsync(400, ErrorCode.Invalid);
        await server.AssertAliveAsync();
    }

    public static TheoryData<string> Names { get; } = ["\\u0000", "a\\u0000b", "\\ufffd", "' or 1=1 --", "%", "_", "\\ud83d\\ude00", "a\\nb"];

    [Theory, MemberData(nameof(Names))]
    public async Task An_impossible_name_is_not_found(string name)
    {
        await using var anna = await server.SignUpAsync();
        using var response = await anna.Http.PostTextAsync("/v1/rooms", $$"""{"kind":"group","members":["{{name}}"]}""");
        await response.ReadErrorAsync(404, ErrorCode.NotFound);
        await server.AssertAliveAsync();
    }

    [Fact]
    public async Task An_unknown_field_is_ignored()
    {
        await using var anna = await server.SignUpAsync();
        using var response = await anna.Http.PostTextAsync(
            "/v1/rooms", """{"kind":"group","members":[],"fromTheFuture":{"a":[1,2]},"role":"admin","owner":null}""");
        Assert.Equal(RoomRole.Owner, (await response.ReadAsync<Room>()).Role);
    }

    [Theory]
    [InlineData("/v1/auth/token", 9 * 1024, true)]
    [InlineData("/v1/auth/token", 9 * 1024, false)]
    [InlineData("/v1/rooms", 5 * 1024 * 1024, true)]
    public async Task A_body_over_the_limit_is_rejected(string path, int length, bool announced)
    {
        await using var anna = await server.SignUpAsync();
        using var content = new StringContent($$"""{"username":"{{new string('x', length)}}"}""", Encoding.UTF8, "application/json");
        // Expect: 100-continue, because the response could be lost behind a broken pipe.
        using var request = new HttpRequestMessage(
            HttpMethod.Post, path)
        { Content = content, Headers = { ExpectContinue = announced, TransferEncodingChunked = !announced } };
        using var response = await anna.Http.SendAsync(request);
        await response.ReadErrorAsync(413, ErrorCode.TooLarge);
        await server.AssertAliveAsync();
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("text/plain", null)]
    [InlineData("application/xml", null)]
    [InlineData("multipart/form-data; boundary=x", null)]
    [InlineData("application/json; charset=utf-7", null)]
    [InlineData("application/json", "gzip")]
    [InlineData("application/json", "br, identity")]
    public async Task A_wrong_media_type_or_coding_gets_a_clear_error(string? type, string? coding)
    {
        await using var anna = await server.SignUpAsync();
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes("""{"kind":"group","members":[]}"""));
        content.Headers.ContentType = type is null ? null : MediaTypeHeaderValue.Parse(type);
        if (coding is not null)
            content.Headers.TryAddWithoutValidation("Content-Encoding", coding);
        using var response = await anna.Http.PostAsync("/v1/rooms", content);
        await response.ReadErrorAsync(415, ErrorCode.Invalid);
    }

    [Theory]
    [InlineData("GET", "/nothing", 404)]
    [InlineData("GET", "/v1", 404)]
    [InlineData("GET", "/v1/nothing", 404)]
    [InlineData("GET", "//v1//limits", 404)]
    [InlineData("GET", "/v1%2flimits", 404)]
    [InlineData("GET", "/v1/rooms/not-an-id", 404)]
    [InlineData("GET", "/v1/me/..%2f..%2fadmin%2fstats", 404)]
    [InlineData("GET", "/v1/limits;x=1", 404)]
    [InlineData("GET", "/v1/limits%20", 404)]
    [InlineData("GET", "/v1/l%69mits", 200)]
    [InlineData("GET", "/v1/limits/", 200)]
    [InlineData("GET", "/V1/LIMITS", 200)]
    [InlineData("GET", "/v1/me/%2e%2e/limits", 200)]
    [InlineData("GET", "/v1/limits/%2e%2e/me", 401)]
    [InlineData("GET", "/V1/ME/", 401)]
    [InlineData("GET", "/v1/admin/../limits/../admin/stats", 401)]
    [InlineData("GET", "/../../../etc/passwd", 404)]
    [InlineData("GET", "/docs/..%2f..%2fappsettings.json", 404)]
    [InlineData("GET", "/docs/..\\..\\appsettings.json", 404)]
    [InlineData("GET", "/graphql/ui/..%2f..%2fServerApp.cs", 404)]
    [InlineData("GET", "/playground/..%2fscalar.cs", 404)]
    [InlineData("HEAD", "/v1/limits", 200)]
    [InlineData("HEAD", "/v1/me", 401)]
    [InlineData("HEAD", "/v1/nothing", 404)]
    [InlineData("HEAD", "/v1/auth/token", 405)]
    [InlineData("OPTIONS", "/v1/limits", 405)]
    [InlineData("OPTIONS", "/v1/me", 405)]
    [InlineData("TRACE", "/v1/me", 405)]
    [InlineData("PUT", "/v1/limits", 405)]
    [InlineData("PROPFIND", "/v1/rooms", 405)]
    [InlineData("GETX", "/v1/limits", 405)]
    [InlineData("get", "/v1/limits", 200)]
    [InlineData("GET", "/v1/limits%00", 400)]
    [InlineData("GET", "/v1/%zz", 404)]
    [InlineData("GET", "/v1/%c0%ae%c0%ae/me", 404)]
    public async Task Path_and_verb_tricks_are_rejected(string method, string path, int status)
    {
        var (head, body) = await RawAsync($"{method} {path} HTTP/1.1\r\nHost: {server.Url.Authority}\r\nConnection: close\r\n\r\n");
        Assert.True(head.StartsWith($"HTTP/1.1 {status} ", StringComparison.Ordinal), head);
        Assert.DoesNotContain("   at ", body, StringComparison.Ordinal);
        Assert.DoesNotContain("root:", body, StringComparison.Ordinal);
        if (status == 405)
            Assert.Contains("Allow: ", head, StringComparison.Ordinal);
        // The web server itself rejects input that is not HTTP, with a bare status.
        if (status is >= 400 and not 400 && method != "HEAD")
        {
            Assert.Contains("application/problem+json", head, StringComparison.Ordinal);
            Assert.Contains("\"code\":", body, StringComparison.Ordinal);
        }

        await server.AssertAliveAsync();
    }

    [Theory]
    [InlineData("X-HTTP-Method-Override: DELETE")]
    [InlineData("X-HTTP-Method: DELETE")]
    [InlineData("X-Method-Override: DELETE")]
    [InlineData("X-Original-URL: /v1/me/delete")]
    [InlineData("X-Rewrite-URL: /v1/admin/stats")]
    [InlineData("X-Forwarded-Prefix: /v1/admin")]
    public async Task A_header_changes_neither_verb_nor_path(string header)
    {
        var (head, body) = await RawAsync($"GET /v1/limits?_method=DELETE HTTP/1.1\r\nHost: {server.Url.Authority}\r\n{header}\r\nConnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 200 ", head, StringComparison.Ordinal);
        Assert.Contains("pageEntries", body, StringComparison.Ordinal);
        var reversed = header.Replace("DELETE", "GET", StringComparison.Ordinal);
        (head, _) = await RawAsync(
            $"POST /v1/limits HTTP/1.1\r\nHost: {server.Url.Authority}\r\n{reversed}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 405 ", head, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345")]
    [InlineData("Transfer-Encoding: gzip\r\n\r\n")]
    [InlineData("Content-Length: -1\r\n\r\n")]
    [InlineData("Content-Length: 99999999999999999999\r\n\r\n")]
    [InlineData(" Folded: x\r\n\r\n")]
    public async Task An_ambiguous_request_is_rejected(string rest)
    {
        var (head, body) = await RawAsync(
            $"POST /v1/auth/token HTTP/1.1\r\nHost: {server.Url.Authority}\r\nContent-Type: application/json\r\nConnection: close\r\n{rest}");
        Assert.StartsWith("HTTP/1.1 4", head, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", body, StringComparison.Ordinal);
        await server.AssertAliveAsync();
    }

    [Fact]
    public async Task A_preflight_needs_no_authentication_and_grants_nothing()
    {
        var (head, _) = await RawAsync(
            $"OPTIONS /v1/me HTTP/1.1\r\nHost: {server.Url.Authority}\r\nOrigin: https://evil.example\r\n"
            + "Access-Control-Request-Method: GET\r\nConnection: close\r\n\r\n");
        Assert.DoesNotContain("Access-Control-Allow-Origin", head, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Sends these bytes unchanged: HTTP clients would normalise them.</summary>
    private async Task<(string Head, string Body)> RawAsync(string request)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        using var socket = new TcpClient();
        await socket.ConnectAsync("127.0.0.1", server.Url.Port, timeout.Token);
        await using var stream = socket.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request), timeout.Token);
        using var reader = new StreamReader(stream, Encoding.UTF8);
        var reply = await reader.ReadToEndAsync(timeout.Token);
        var end = reply.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        Assert.True(end > 0, string.Create(CultureInfo.InvariantCulture, $"No reply, but {reply.Length} characters."));
        return (reply[..end], reply[end..]);
    }
}

public sealed class HostileRequestTestsOnSqlite(SqliteServer server) : HostileRequestTests(server);

public sealed class HostileRequestTestsOnPostgres(PostgresServer server) : HostileRequestTests(server);
