using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Chat;

/// <summary>The hub's WebSockets, frame by frame (RFC 6455), and over HTTP/2 (RFC 8441) and TLS.</summary>
public sealed class FrameTests(SqliteServer server)
{
    private const byte Text = 0x1;
    private const byte Final = 0x80;
    private const byte Ping = 0x89;
    private const byte Pong = 0x8A;
    private const byte Close = 0x88;

    [Fact]
    public async Task Messages_are_read_in_pieces_of_any_size()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var random = Seed.For(nameof(Messages_are_read_in_pieces_of_any_size));
        using var socket = await FrameSocket.OpenAsync(anna, server.Url);
        var requests = Enumerable.Range(0, 200)
            .Select(_ => new SendRequest(room.Id, Guid.NewGuid(), random.Bytes(1 + random.Next(random.Next(10) == 0 ? 30_000 : 600)))).ToList();
        var bytes = new List<byte>();
        var pings = new List<byte[]>();
        for (var i = 0; i < requests.Count; i++)
        {
            var call = Encoding.UTF8.GetBytes(
                $$"""{"type":1,"invocationId":"{{i}}","target":"Send","arguments":[{{JsonSerializer.Serialize(requests[i], Wire.Json)}}]}""" + "\u001e");
            var (start, first) = (0, Text);
            while (start < call.Length || random.Next(4) == 0)
            {
                if (random.Next(8) == 0)
                {
                    pings.Add(random.Bytes(random.Next(126)));
                    bytes.AddRange(FrameSocket.Frame(Ping, pings[^1], (uint)random.Next()));
                }

                var length = random.Next(3) == 0 ? random.Next(10) : call.Length - start;
                length = Math.Min(length, call.Length - start);
                bytes.AddRange(FrameSocket.Frame(first, call.AsSpan(start, length), (uint)random.Next()));
                (start, first) = (start + length, (byte)0);
            }

            bytes.AddRange(FrameSocket.Frame((byte)(Final | first), [], (uint)random.Next()));
        }

        var sending = Task.Run(async () =>
        {
            var all = bytes.ToArray();
            for (var sent = 0; sent < all.Length;)
            {
                var piece = Math.Min(all.Length - sent, 1 + random.Next(random.Next(4) == 0 ? 20 : 9000));
                await socket.Stream.WriteAsync(all.AsMemory(sent, piece));
                sent += piece;
            }
        });
        var (acks, pongs) = (0, new List<byte[]>());
        while (acks < requests.Count)
        {
            var (opcode, payload) = await socket.ReceiveAsync();
            Assert.NotEqual(-1, opcode);
            if (opcode == 0xA)
                pongs.Add(payload);
            foreach (var message in Encoding.UTF8.GetString(opcode == 1 ? payload : []).Split('\u001e', StringSplitOptions.RemoveEmptyEntries))
            {
                Assert.DoesNotContain("\"error\"", message, StringComparison.Ordinal);
                acks += message.Contains("\"type\":3", StringComparison.Ordinal) ? 1 : 0;
            }
        }

        await sending;
        Assert.Equal(pings, pongs);
        var reader = await anna.ConnectAsync();
        var log = await reader.ReadLogAsync(room.Id);
        Assert.Equal(requests.Select(request => Convert.ToHexString(request.Ciphertext)), log.Skip(1).Select(entry => Convert.ToHexString(entry.Ciphertext!)));

        await socket.Stream.WriteAsync(FrameSocket.Frame(Close, [0x03, 0xE8]));
        Assert.Equal([8, -1], (await LastFramesAsync(socket)).TakeLast(2));
    }

    public static TheoryData<string, byte[]> Violations => new()
    {
        { "not masked", [Final | Text, 2, (byte)'{', (byte)'}'] },
        { "a reserved bit", FrameSocket.Frame(Final | 0x40 | Text, "{}"u8) },
        { "an unknown opcode", FrameSocket.Frame(Final | 0x3, "{}"u8) },
        { "an unknown control opcode", FrameSocket.Frame(Final | 0xB, []) },
        { "goes on with nothing", FrameSocket.Frame(Final, "{}"u8) },
        { "a message within a message", [.. FrameSocket.Frame(Text, "{"u8), .. FrameSocket.Frame(Final | Text, "}"u8)] },
        { "a ping in pieces", FrameSocket.Frame(0x9, []) },
        { "a ping that is too long", FrameSocket.Frame(Ping, new byte[126]) },
        { "a close with half a code", FrameSocket.Frame(Close, [3]) },
        { "a length that could be shorter", [Final | Text, 0xFE, 0, 2, 0, 0, 0, 0, (byte)'{', (byte)'}'] },
        { "a length below zero", [Final | Text, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4] },
    };

    [Theory]
    [MemberData(nameof(Violations))]
    public async Task A_client_that_violates_the_protocol_gets_a_protocol_error_and_is_closed(string what, byte[] bytes)
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await FrameSocket.OpenAsync(anna, server.Url);
        await socket.Stream.WriteAsync(bytes);
        // 1002: a protocol error (RFC 6455 section 7.4.1), and nothing after it.
        var (opcode, payload) = await socket.ReceiveAsync();
        Assert.True(opcode == 8 && payload is [0x03, 0xEA], what);
        Assert.Equal(-1, (await socket.ReceiveAsync()).Opcode);
        await server.AssertAliveAsync();
    }

    [Fact]
    public async Task Random_bytes_close_at_most_their_own_connection()
    {
        await using var anna = await server.SignUpAsync();
        var random = Seed.For(nameof(Random_bytes_close_at_most_their_own_connection));
        byte[] opcodes = [0, 1, 2, 8, 9, 10];
        for (var round = 0; round < 100; round++)
        {
            using var socket = await FrameSocket.OpenAsync(anna, server.Url);
            try
            {
                for (var i = random.Next(5); i >= 0; i--)
                {
                    var payload = random.Bytes(random.Next(300));
                    // Mostly valid headers, so that not every connection ends at the first byte.
                    var first = random.Next(5) == 0 ? (byte)random.Next(256) : (byte)((random.Next(2) * Final) | opcodes[random.Next(opcodes.Length)]);
                    await socket.Stream.WriteAsync(random.Next(5) == 0 ? payload : FrameSocket.Frame(first, payload, (uint)random.Next()));
                }
            }
            catch (IOException)
            {
                // Already closed.
            }
        }

        await server.AssertAliveAsync();
        Assert.DoesNotContain(server.Logs, line => line.Contains("A hub connection failed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_client_that_sends_before_the_handshake_response_gets_the_response_first()
    {
        await using var anna = await server.SignUpAsync();
        for (var i = 0; i < 100; i++)
        {
            using var socket = await FrameSocket.OpenAsync(anna, server.Url, early: true);
            await socket.Stream.WriteAsync(FrameSocket.Frame(Close, [0x03, 0xE8]));
            Assert.Equal([8, -1], (await LastFramesAsync(socket)).TakeLast(2));
        }
    }

    [Fact]
    public async Task A_client_that_disconnects_during_the_upgrade_is_not_logged()
    {
        await using var node = await server.DedicatedAsync();
        await using var anna = await node.SignUpAsync();
        var random = Seed.For(nameof(A_client_that_disconnects_during_the_upgrade_is_not_logged));
        for (var i = 0; i < 200; i++)
        {
            using var client = new TcpClient();
            await client.ConnectAsync(node.Url.Host, node.Url.Port);
            await client.GetStream().WriteAsync(FrameSocket.Upgrade(anna, node.Url));
            await Task.Delay(random.Next(4));
            client.LingerState = new LingerOption(enable: true, random.Next(2));
        }

        var connection = await anna.ConnectAsync();
        await connection.HeadsAsync();
        Assert.DoesNotContain(node.Logs, line => line.Contains("unhandled exception", StringComparison.OrdinalIgnoreCase)
            || line.Contains("A hub connection failed", StringComparison.Ordinal));
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task Pongs_to_a_client_that_does_not_read_are_bounded()
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await FrameSocket.OpenAsync(anna, server.Url);
        // 125 MB of pongs.
        for (var i = 0; i < 1000; i++)
        {
            var pings = Enumerable.Repeat(FrameSocket.Frame(Ping, Enumerable.Repeat((byte)i, 125).ToArray()), 1000).SelectMany(frame => frame).ToArray();
            await socket.Stream.WriteAsync(pings).AsTask().WaitAsync(TimeSpan.FromSeconds(10));
        }

        await socket.Stream.WriteAsync(FrameSocket.Frame(Ping, "last"u8));
        // The bytes in the buffers of kernel and connection, and the last pong.
        var pongs = 0L;
        for (var last = false; !last;)
        {
            var (opcode, payload) = await socket.ReceiveAsync();
            // SignalR's own ping, every 10 s.
            if (opcode == 0x1)
                continue;
            Assert.Equal(0xA, opcode);
            pongs += payload.Length;
            last = payload.AsSpan().SequenceEqual("last"u8);
        }

        Assert.InRange(pongs, 1, 16 << 20);
        await server.AssertAliveAsync();
    }

    [Fact]
    public async Task A_client_that_keeps_sending_receives_everything_before_the_server_closes()
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await FrameSocket.OpenAsync(anna, server.Url);
        var calls = FrameSocket.Frame(Final | Text, Encoding.UTF8.GetBytes("""{"type":1,"target":"Heads","arguments":[]}""" + "\u001e"));
        using var stop = new CancellationTokenSource();
        var talking = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await socket.Stream.WriteAsync(calls);
                await Task.Delay(1);
            }
        });
        using var loggedOut = await anna.Http.PostAsync("/v1/auth/logout", null);
        Assert.Equal(204, (int)loggedOut.StatusCode);
        var text = "";
        for (var closed = false; !closed;)
        {
            var (opcode, payload) = await socket.ReceiveAsync();
            Assert.InRange(opcode, 1, 8);
            closed = opcode == 8;
            text += Encoding.UTF8.GetString(closed ? [] : payload);
        }

        Assert.Contains("SessionEnded", text, StringComparison.Ordinal);
        await stop.CancelAsync();
        await talking;
        await socket.Stream.WriteAsync(FrameSocket.Frame(Close, [0x03, 0xE8]));
        Assert.Equal(-1, (await socket.ReceiveAsync()).Opcode);
    }

    [Fact]
    public async Task A_silent_client_is_pinged_and_stays_only_if_it_answers()
    {
        await using var own = await server.DedicatedAsync();
        await using var anna = await own.SignUpAsync();
        using var mute = await FrameSocket.OpenAsync(anna, own.Url);
        using var polite = await FrameSocket.OpenAsync(anna, own.Url);
        var answering = Task.Run(async () =>
        {
            while (await polite.ReceiveAsync() is var (opcode, payload) && opcode >= 0)
            {
                if (opcode == 9)
                    await polite.Stream.WriteAsync(FrameSocket.Frame(Pong, payload));
            }
        });
        var frames = LastFramesAsync(mute);
        await own.Time.PassAsync(TimeSpan.FromSeconds(19));
        Assert.False(frames.IsCompleted);
        await own.Time.PassAsync(TimeSpan.FromSeconds(25));
        Assert.Contains(9, await frames.WaitAsync(TimeSpan.FromSeconds(45)));
        Assert.False(answering.IsCompleted);
    }

    [Theory]
    [InlineData("http", "2.0")]
    [InlineData("https", "1.1")]
    [InlineData("https", "2.0")]
    public async Task The_hub_works_over_HTTP2_and_TLS(string scheme, string version)
    {
        using var certificate = SelfSigned();
        await using var node = await server.DedicatedAsync(builder => builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureEndpointDefaults(endpoint =>
        {
            endpoint.Protocols = version == "2.0" ? HttpProtocols.Http2 : HttpProtocols.Http1;
            if (scheme == "https")
                endpoint.UseHttps(certificate);
        })));
        using var handler =
            new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = (_, presented, _, _) => certificate.Equals(presented) } };
        using var http = new HttpClient(handler)
        {
            BaseAddress = new UriBuilder(node.Url) { Scheme = scheme }.Uri,
            DefaultRequestVersion = Version.Parse(version),
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        using var signedUp = await http.PostAsJsonAsync("/v1/auth/sign-up", new SignUpRequest("anna", "anna@example.org", "a long enough password"), Wire.Json);
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (await signedUp.ReadAsync<TokenResponse>()).AccessToken);
        using var created = await http.PostAsJsonAsync("/v1/rooms", new CreateRoomRequest(RoomKind.Group, []), Wire.Json);
        var room = await created.ReadAsync<Room>();
        using var socket = new ClientWebSocket();
        socket.Options.HttpVersion = http.DefaultRequestVersion;
        socket.Options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        await socket.ConnectAsync(
            new UriBuilder(http.BaseAddress) { Scheme = scheme == "https" ? "wss" : "ws", Path = Wire.HubPath }.Uri, http, CancellationToken.None);
        await SayAsync("""{"protocol":"json","version":1}""");
        for (var i = 0; i < 20; i++)
        {
            var send = JsonSerializer.Serialize(new SendRequest(room.Id, Guid.NewGuid(), new byte[20_000]), Wire.Json);
            await SayAsync($$"""{"type":1,"invocationId":"{{i}}","target":"Send","arguments":[{{send}}]}""");
        }

        var received = "";
        for (var buffer = new byte[64 * 1024]; !received.Contains("\"seq\":21,", StringComparison.Ordinal)
            || !received.Contains("\"invocationId\":\"19\"", StringComparison.Ordinal);)
            received += Encoding.UTF8.GetString(
                buffer, 0, (await socket.ReceiveAsync(buffer, new CancellationTokenSource(TimeSpan.FromSeconds(20)).Token)).Count);
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
        Assert.Equal(WebSocketCloseStatus.NormalClosure, socket.CloseStatus);

        Task SayAsync(string message) =>
            socket.SendAsync(Encoding.UTF8.GetBytes(message + "\u001e"), WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
    }

    private static X509Certificate2 SelfSigned()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256)
            .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    private static async Task<List<int>> LastFramesAsync(FrameSocket socket)
    {
        var opcodes = new List<int>();
        do
            opcodes.Add((await socket.ReceiveAsync()).Opcode);
        while (opcodes[^1] >= 0);
        return opcodes;
    }
}
