using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Chat;

/// <summary>The hub's WebSockets, frame by frame (RFC 6455), and over HTTP/2 (RFC 8441).</summary>
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
        // Pongs are owed for pings, but only for the last one to who does not read: here everything is read.
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
        { "a length below zero", [Final | Text, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4] },
    };

    [Theory]
    [MemberData(nameof(Violations))]
    public async Task Who_does_not_keep_to_the_protocol_is_told_so_and_closed(string what, byte[] bytes)
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await FrameSocket.OpenAsync(anna, server.Url);
        await socket.Stream.WriteAsync(bytes);
        var frames = new List<(int Opcode, byte[] Payload)>();
        do
            frames.Add(await socket.ReceiveAsync());
        while (frames[^1].Opcode >= 0);
        // 1002: a protocol error. RFC 6455 section 7.4.1.
        Assert.True(frames.Any(frame => frame.Opcode == 8 && frame.Payload is [0x03, 0xEA, ..]), what);
        await AssertAliveAsync();
    }

    [Fact]
    public async Task Noise_closes_at_most_its_own_connection()
    {
        await using var anna = await server.SignUpAsync();
        var random = Seed.For(nameof(Noise_closes_at_most_its_own_connection));
        for (var round = 0; round < 100; round++)
        {
            using var socket = await FrameSocket.OpenAsync(anna, server.Url);
            try
            {
                for (var i = random.Next(5); i >= 0; i--)
                    await socket.Stream.WriteAsync(random.Next(2) == 0 ? Bytes(random, random.Next(300)) : FrameSocket.Frame((byte)random.Next(256), Bytes(random, random.Next(300)), (uint)random.Next()));
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
    public async Task Who_pings_and_does_not_read_is_owed_little()
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await FrameSocket.OpenAsync(anna, server.Url);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var pings = Enumerable.Repeat(FrameSocket.Frame(Ping, new byte[125]), 1000).SelectMany(frame => frame).ToArray();
        // 125 MB of pongs.
        for (var i = 0; i < 1000; i++)
            await socket.Stream.WriteAsync(pings).AsTask().WaitAsync(TimeSpan.FromSeconds(10));
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 30 << 20);
        await AssertAliveAsync();
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
        await Task.Delay(TimeSpan.FromSeconds(8));
        Assert.False(answering.IsCompleted);
    }

    [Fact]
    public async Task The_hub_is_there_over_HTTP2_too()
    {
        await using var node = await server.DedicatedAsync("--Kestrel:EndpointDefaults:Protocols=Http2");
        using var http = new HttpClient { BaseAddress = node.Url, DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var signedUp = await http.PostAsJsonAsync("/v1/auth/sign-up", new SignUpRequest("anna", "anna@example.org", "a long enough password"), Wire.Json);
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (await signedUp.ReadAsync<TokenResponse>()).AccessToken);
        using var created = await http.PostAsJsonAsync("/v1/rooms", new CreateRoomRequest(RoomKind.Group, []), Wire.Json);
        var room = await created.ReadAsync<Room>();
        using var socket = new ClientWebSocket();
        socket.Options.HttpVersion = HttpVersion.Version20;
        socket.Options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        await socket.ConnectAsync(new UriBuilder(node.Url) { Scheme = "ws", Path = Wire.HubPath }.Uri, http, CancellationToken.None);
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
