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
    public async Task Whatever_pieces_messages_come_in_they_are_understood()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var random = Seed.For(nameof(Whatever_pieces_messages_come_in_they_are_understood));
        using var socket = await FrameSocket.OpenAsync(anna, server.Url);
        var requests = Enumerable.Range(0, 200).Select(_ => new SendRequest(room.Id, Guid.NewGuid(), Bytes(random, 1 + random.Next(random.Next(10) == 0 ? 30_000 : 600)))).ToList();
        var bytes = new List<byte>();
        var pings = new List<byte[]>();
        for (var i = 0; i < requests.Count; i++)
        {
            var call = Encoding.UTF8.GetBytes($$"""{"type":1,"invocationId":"{{i}}","target":"Send","arguments":[{{JsonSerializer.Serialize(requests[i], Wire.Json)}}]}""" + "\u001e");
            var (start, first) = (0, Text);
            while (start < call.Length || random.Next(4) == 0)
            {
                if (random.Next(8) == 0)
                {
                    pings.Add(Bytes(random, random.Next(126)));
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
        var log = new List<LogEntry>();
        for (LogPage page; (page = await reader.SyncAsync(room.Id, log.Count)).Entries.Length > 0;)
            log.AddRange(page.Entries);
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
    public async Task Who_does_not_keep_to_the_protocol_is_told_so_and_closed(string what, byte[] bytes)
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await FrameSocket.OpenAsync(anna, server.Url);
        await socket.Stream.WriteAsync(bytes);
        // 1002: a protocol error (RFC 6455 section 7.4.1), and nothing after it.
        var (opcode, payload) = await socket.ReceiveAsync();
        Assert.True(opcode == 8 && payload is [0x03, 0xEA], what);
        Assert.Equal(-1, (await socket.ReceiveAsync()).Opcode);
        await AssertAliveAsync();
    }

    [Fact]
    public async Task Noise_closes_at_most_its_own_connection()
    {
        await using var anna = await server.SignUpAsync();
        var random = Seed.For(nameof(Noise_closes_at_most_its_own_connection));
        byte[] opcodes = [0, 1, 2, 8, 9, 10];
        for (var round = 0; round < 100; round++)
        {
            using var socket = await FrameSocket.OpenAsync(anna, server.Url);
            try
            {
                for (var i = random.Next(5); i >= 0; i--)
                {
                    var payload = Bytes(random, random.Next(300));
                    // Mostly what is in order, so that not all ends with the first byte.
                    var first = random.Next(5) == 0 ? (byte)random.Next(256) : (byte)((random.Next(2) * Final) | opcodes[random.Next(opcodes.Length)]);
                    await socket.Stream.WriteAsync(random.Next(5) == 0 ? payload : FrameSocket.Frame(first, payload, (uint)random.Next()));
                }
            }
            catch (IOException)
            {
                // Closed already.
            }
        }

        await AssertAliveAsync();
        Assert.DoesNotContain(server.Logs, line => line.Contains("A connection of the hub failed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Who_speaks_before_it_has_the_answer_to_its_handshake_gets_that_first()
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
    public async Task Who_hangs_up_while_being_let_in_is_nothing_to_report()
    {
        await using var node = await server.DedicatedAsync();
        await using var anna = await node.SignUpAsync();
        var random = Seed.For(nameof(Who_hangs_up_while_being_let_in_is_nothing_to_report));
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
        Assert.DoesNotContain(node.Logs, line => line.Contains("unhandled exception", StringComparison.OrdinalIgnoreCase) || line.Contains("A connection of the hub failed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Who_pings_and_does_not_read_is_owed_little()
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
        // What the kernel and the connection's own buffers hold, and the last.
        var owed = 0L;
        for (var last = false; !last;)
        {
            var (opcode, payload) = await socket.ReceiveAsync();
            Assert.Equal(0xA, opcode);
            owed += payload.Length;
            last = payload.AsSpan().SequenceEqual("last"u8);
        }

        Assert.InRange(owed, 1, 16 << 20);
        await AssertAliveAsync();
    }

    [Fact]
    public async Task A_client_that_goes_on_talking_hears_all_to_the_end_when_the_server_closes()
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await FrameSocket.OpenAsync(anna, server.Url);
        var calls = FrameSocket.Frame(Final | Text, Encoding.UTF8.GetBytes("""{"type":1,"target":"Heads","arguments":[]}""" + "\u001e"));
        using var heard = new CancellationTokenSource();
        var talking = Task.Run(async () =>
        {
            while (!heard.IsCancellationRequested)
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
        await heard.CancelAsync();
        await talking;
        await socket.Stream.WriteAsync(FrameSocket.Frame(Close, [0x03, 0xE8]));
        Assert.Equal(-1, (await socket.ReceiveAsync()).Opcode);
    }

    [Fact]
    public async Task Who_says_nothing_is_asked_and_stays_only_if_it_answers()
    {
        await using var anna = await server.SignUpAsync();
        using var mute = await FrameSocket.OpenAsync(anna, server.Url);
        using var polite = await FrameSocket.OpenAsync(anna, server.Url);
        var answering = Task.Run(async () =>
        {
            while (await polite.ReceiveAsync() is var (opcode, payload) && opcode >= 0)
            {
                if (opcode == 9)
                    await polite.Stream.WriteAsync(FrameSocket.Frame(Pong, payload));
            }
        });
        var frames = await LastFramesAsync(mute).WaitAsync(TimeSpan.FromSeconds(45));
        Assert.Contains(9, frames);
        await Task.Delay(TimeSpan.FromSeconds(2));
        Assert.False(answering.IsCompleted);
    }

    [Theory]
    [InlineData("http", "2.0")]
    [InlineData("https", "1.1")]
    [InlineData("https", "2.0")]
    public async Task The_hub_is_there_over_HTTP2_and_TLS_too(string scheme, string version)
    {
        using var certificate = SelfSigned();
        await using var node = await server.DedicatedAsync(builder => builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureEndpointDefaults(endpoint =>
        {
            endpoint.Protocols = version == "2.0" ? HttpProtocols.Http2 : HttpProtocols.Http1;
            if (scheme == "https")
                endpoint.UseHttps(certificate);
        })));
        using var handler = new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = (_, presented, _, _) => certificate.Equals(presented) } };
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
        await socket.ConnectAsync(new UriBuilder(http.BaseAddress) { Scheme = scheme == "https" ? "wss" : "ws", Path = Wire.HubPath }.Uri, http, CancellationToken.None);
        await SayAsync("""{"protocol":"json","version":1}""");
        for (var i = 0; i < 20; i++)
            await SayAsync($$"""{"type":1,"invocationId":"{{i}}","target":"Send","arguments":[{{JsonSerializer.Serialize(new SendRequest(room.Id, Guid.NewGuid(), new byte[20_000]), Wire.Json)}}]}""");
        var heard = "";
        for (var buffer = new byte[64 * 1024]; !heard.Contains("\"seq\":21,", StringComparison.Ordinal) || !heard.Contains("\"invocationId\":\"19\"", StringComparison.Ordinal);)
            heard += Encoding.UTF8.GetString(buffer, 0, (await socket.ReceiveAsync(buffer, new CancellationTokenSource(TimeSpan.FromSeconds(20)).Token)).Count);
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
        Assert.Equal(WebSocketCloseStatus.NormalClosure, socket.CloseStatus);

        Task SayAsync(string message) => socket.SendAsync(Encoding.UTF8.GetBytes(message + "\u001e"), WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
    }

    private static X509Certificate2 SelfSigned()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    private static byte[] Bytes(Random random, int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    private static async Task<List<int>> LastFramesAsync(FrameSocket socket)
    {
        var opcodes = new List<int>();
        do
            opcodes.Add((await socket.ReceiveAsync()).Opcode);
        while (opcodes[^1] >= 0);
        return opcodes;
    }

    private async Task AssertAliveAsync()
    {
        await using var other = await server.SignUpAsync();
        var room = await other.CreateRoomAsync([]);
        var connection = await other.ConnectAsync();
        Assert.Equal(2, (await connection.SendAsync(room.Id, [1])).Seq);
    }
}
