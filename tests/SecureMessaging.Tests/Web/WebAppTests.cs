using System.IO.Compression;
using System.Net;
using System.Net.WebSockets;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Web;

/// <summary>The server as the host of any build of the web app.</summary>
public sealed class WebAppTests(SqliteServer shared) : IAsyncLifetime
{
    private const string Script = "assets/app-C2T79uA3.js";
    private readonly TestDirectory root = new();
    private TestServer server = null!;

    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(root.Combine("assets"));
        await File.WriteAllTextAsync(root.Combine("index.html"), "<!doctype html><title>app</title>");
        await File.WriteAllTextAsync(root.Combine("sw.js"), "// service worker");
        await File.WriteAllTextAsync(root.Combine("manifest.webmanifest"), "{}");
        await File.WriteAllTextAsync(root.Combine(Script), string.Concat(Enumerable.Repeat("console.log('compressible');\n", 200)));
        await using (var compressed = new BrotliStream(File.Create(root.Combine($"{Script}.br")), CompressionLevel.SmallestSize))
            await compressed.WriteAsync(await File.ReadAllBytesAsync(root.Combine(Script)));
        await File.WriteAllTextAsync(root.Combine("plain.js"), string.Concat(Enumerable.Repeat("console.log('compressible');\n", 200)));
        server = await shared.DedicatedAsync($"--Web:Root={root.Path}");
    }

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        root.Dispose();
    }

    [Theory]
    [InlineData("/", "text/html; charset=utf-8", "no-cache")]
    [InlineData("/index.html", "text/html; charset=utf-8", "no-cache")]
    [InlineData("/sw.js", "text/javascript; charset=utf-8", "no-cache")]
    [InlineData("/manifest.webmanifest", "application/manifest+json", "no-cache")]
    [InlineData("/" + Script, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable")]
    public async Task Files_are_served_with_their_security_headers(string path, string type, string caching)
    {
        foreach (var method in new[] { HttpMethod.Get, HttpMethod.Head })
        {
            using var request = new HttpRequestMessage(method, path);
            using var response = await server.Http.SendAsync(request);
            Assert.Equal((200, type), ((int)response.StatusCode, response.Content.Headers.ContentType!.ToString()));
            Assert.Equal(caching.Split(", ").Order(StringComparer.Ordinal), Header(response, "Cache-Control").Split(", ").Order(StringComparer.Ordinal));
            Assert.Equal(
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; worker-src 'self'; "
                + "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types app",
                Header(response, "Content-Security-Policy"));
            Assert.Equal(("nosniff", "no-referrer", "same-origin"),
                (Header(response, "X-Content-Type-Options"), Header(response, "Referrer-Policy"), Header(response, "Cross-Origin-Opener-Policy")));
            Assert.Contains("camera=(self), ", Header(response, "Permissions-Policy"), StringComparison.Ordinal);
            Assert.False(response.Headers.Contains("Set-Cookie"));
            var length = (await response.Content.ReadAsByteArrayAsync()).Length;
            Assert.Equal(method == HttpMethod.Head ? 0 : response.Content.Headers.ContentLength, length);
        }
    }

    [Theory]
    [InlineData("gzip, deflate, br, zstd", "br")]
    [InlineData("gzip", "gzip")]
    [InlineData("br;q=0, gzip", "gzip")]
    [InlineData("br;q=0.1, gzip;q=0.9", "gzip")]
    [InlineData("identity", null)]
    [InlineData("", null)]
    public async Task Files_are_compressed_on_request_and_not_sent_twice(string accepts, string? encoding)
    {
        using var response = await SendAsync($"/{Script}", ("Accept-Encoding", accepts));
        Assert.Equal(encoding, response.Content.Headers.ContentEncoding.SingleOrDefault());
        Assert.Equal("Accept-Encoding", Header(response, "Vary"));
        await using var body = await response.Content.ReadAsStreamAsync();
        await using Stream plain = encoding switch
        {
            "br" => new BrotliStream(body, CompressionMode.Decompress),
            "gzip" =>
            new GZipStream(body, CompressionMode.Decompress),
            _ => body
        };
        using var reader = new StreamReader(plain);
        Assert.Equal(await File.ReadAllTextAsync(root.Combine(Script)), await reader.ReadToEndAsync());
        if (encoding is not null)
            Assert.InRange(response.Content.Headers.ContentLength!.Value, 1, 1000);

        using var again = await SendAsync($"/{Script}", ("Accept-Encoding", accepts), ("If-None-Match", response.Headers.ETag!.ToString()));
        Assert.Equal((304, 0), ((int)again.StatusCode, (await again.Content.ReadAsByteArrayAsync()).Length));
        using var weak = await SendAsync($"/{Script}", ("Accept-Encoding", accepts), ("If-None-Match", $"\"x\", W/{response.Headers.ETag}"));
        Assert.Equal(304, (int)weak.StatusCode);
        using var other = await SendAsync("/", ("If-None-Match", response.Headers.ETag.ToString()));
        Assert.Equal(200, (int)other.StatusCode);
    }

    [Fact]
    public async Task A_file_that_the_build_did_not_compress_is_sent_with_gzip()
    {
        using var response = await SendAsync("/plain.js", ("Accept-Encoding", "br, gzip"));
        Assert.Equal("gzip", response.Content.Headers.ContentEncoding.Single());
        await using var body = new GZipStream(await response.Content.ReadAsStreamAsync(), CompressionMode.Decompress);
        using var reader = new StreamReader(body);
        Assert.Equal(await File.ReadAllTextAsync(root.Combine("plain.js")), await reader.ReadToEndAsync());
    }

    [Theory]
    [InlineData("/v1/no-such-thing")]
    [InlineData("/hubs/nothing")]
    [InlineData("/c/some-room")]
    [InlineData("/assets/")]
    [InlineData("/assets/other.js")]
    [InlineData("/Index.html")]
    [InlineData("/assets/app-C2T79uA3.js.br")]
    [InlineData("/%2e%2e/secure-messaging.db")]
    [InlineData("/assets%2f..%2f..%2fkeys/server.secret")]
    [InlineData("/index.html/")]
    public async Task No_other_path_returns_a_page(string path)
    {
        using var response = await server.Http.GetAsync(path);
        await response.ReadErrorAsync(404, ErrorCode.NotFound);
    }

    [Fact]
    public async Task The_API_keeps_its_paths()
    {
        await using var anna = await server.SignUpAsync();
        await (await server.Http.GetAsync("/v1/me")).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        await (await anna.Http.GetAsync("/v1/no-such-thing")).ReadErrorAsync(404, ErrorCode.NotFound);
        foreach (var path in new[] { "/docs", "/llms.txt", "/openapi/v1.json" })
        {
            using var document = await server.Http.GetAsync(path);
            Assert.True(document.IsSuccessStatusCode, $"{path}: {document.StatusCode}");
        }

        await (await anna.Http.GetAsync("/hubs/chat")).ReadErrorAsync(400, ErrorCode.Invalid);
        await (await anna.Http.PostAsync("/", null)).ReadErrorAsync(404, ErrorCode.NotFound);
        using var ready = await server.Http.GetAsync("/health/ready");
        Assert.Equal("application/json", ready.Content.Headers.ContentType!.MediaType);
        using var ask = await server.Http.GetAsync("/graphql?query=%7Blimits%7BpageEntries%7D%7D");
        Assert.Equal(200, (int)ask.StatusCode);
    }

    [Fact]
    public async Task Only_pages_of_its_origin_open_a_WebSocket()
    {
        await using var anna = await server.SignUpAsync();
        foreach (var (origin, opens) in new[] { ($"http://127.0.0.1:{server.Url.Port}", true), ("https://evil.example", false) })
        {
            var ticket = await anna.TicketAsync();
            using var socket = new ClientWebSocket();
            socket.Options.SetRequestHeader("Origin", origin);
            socket.Options.CollectHttpResponseDetails = true;
            var connecting = socket.ConnectAsync(
                new Uri($"ws://127.0.0.1:{server.Url.Port}{Wire.HubPath}?{Wire.TicketParameter}={ticket}"), CancellationToken.None);
            if (opens)
                await connecting;
            else
                await Assert.ThrowsAsync<WebSocketException>(() => connecting);
            Assert.Equal(opens ? HttpStatusCode.SwitchingProtocols : HttpStatusCode.Forbidden, socket.HttpStatusCode);
        }
    }

    [Fact]
    public async Task The_app_can_be_disabled_and_a_wrong_folder_stops_the_start()
    {
        await using (var none = await shared.DedicatedAsync("--Web:Enabled=false"))
            await (await none.Http.GetAsync("/")).ReadErrorAsync(404, ErrorCode.NotFound);
        await Assert.ThrowsAsync<Microsoft.Extensions.Options.OptionsValidationException>(async () =>
        {
            await using var never = await shared.DedicatedAsync($"--Web:Root={root.Combine("assets")}");
        });
    }

    private static string Header(HttpResponseMessage response, string name) => string.Join(", ", response.Headers.GetValues(name));

    private async Task<HttpResponseMessage> SendAsync(string path, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        return await server.Http.SendAsync(request);
    }
}
