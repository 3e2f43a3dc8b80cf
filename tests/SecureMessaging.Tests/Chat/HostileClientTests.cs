using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Chat;

/// <summary>Raw frames that no SDK sends. Their sender gets an error or is disconnected; other clients are not affected.</summary>
public abstract class HostileClientTests(TestServer server)
{
    private const char RecordSeparator = '\u001e';

    [Theory]
    [InlineData("""{"type":1,"invocationId":"1","target":"NoSuchMethod","arguments":[]}""")]
    [InlineData("""{"type":1,"invocationId":"1","target":"Send","arguments":[]}""")]
    [InlineData("""{"type":1,"invocationId":"1","target":"Send","arguments":["text"]}""")]
    [InlineData("""{"type":1,"invocationId":"1","target":"Send","arguments":[null]}""")]
    [InlineData("""{"type":1,"invocationId":"1","target":"Send","arguments":[{"roomId":"x"}]}""")]
    [InlineData("""{"type":1,"invocationId":"1","target":"Send","arguments":[{"roomId":"00000000-0000-0000-0000-000000000000"}]}""")]
    [InlineData("""{"type":1,"invocationId":"1","target":"SendBatch","arguments":[null]}""")]
    [InlineData("""{"type":1,"invocationId":"1","target":"SendBatch","arguments":[[null]]}""", true)]
    [InlineData("""{"type":1,"invocationId":"1","target":"Sync","arguments":["a","b","c"]}""")]
    [InlineData("""{"type":1,"invocationId":"1","target":"Sync","arguments":[1e999,{},[]]}""")]
    [InlineData("""{"type":1,"invocationId":"1","target":"Heads","arguments":[],"streamIds":["1"]}""")]
    [InlineData("""{"type":4,"invocationId":"1","target":"Send","arguments":[]}""")]
    [InlineData("""{"type":1,"invocationId":"1","target":"Malformed","arguments":[]}""")]
    [InlineData("""{"type":1,"invocationId":"1","target":"OnConnectedAsync","arguments":[]}""")]
    public async Task An_unreadable_call_gets_an_error_of_the_catalogue(string call, bool perItem = false)
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await OpenAsync(anna);
        await SendAsync(socket, call);
        var reply = await ReceiveAsync(socket, message => message.TryGetProperty("type", out var type) && type.GetInt32() == 3);
        Assert.NotNull(reply);
        var text = perItem ? reply.Value.GetProperty("result").ToString() : reply.Value.GetProperty("error").GetString()!;
        Assert.Contains("\"Invalid\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", text, StringComparison.Ordinal);
        await server.AssertAliveAsync();
    }

    [Theory]
    [InlineData("""{"target":"Send","arguments":[{"roomId":"x","clientMessageId":"x","ciphertext":"AQ=="}]}""", "#/roomId", null)]
    [InlineData("""{"target":"Send","arguments":[{"roomId":"00000000-0000-0000-0000-000000000000","ciphertext":"AQ=="}]}""", "#/clientMessageId", null)]
    [InlineData(
        """{"target":"Send","arguments":[{"roomId":"00000000-0000-4000-8000-000000000000","clientMessageId":"00000000-0000-4000-8000-000000000000","""
        + "\"ciphertext\":7}]}",
        "#/ciphertext", null)]
    [InlineData("""{"target":"Send","arguments":[[]]}""", null, "request")]
    [InlineData("""{"target":"SendBatch","arguments":[[{"roomId":7}]]}""", "#/0/roomId", null)]
    [InlineData("""{"target":"Sync","arguments":["00000000-0000-4000-8000-000000000000","0",10]}""", null, "afterSeq")]
    [InlineData("""{"target":"Sync","arguments":["00000000-0000-4000-8000-000000000000",0,0]}""", null, "limit")]
    [InlineData("""{"target":"Signal","arguments":["00000000-0000-4000-8000-000000000000",""]}""", null, "signal")]
    public async Task An_error_names_the_argument_or_its_member(string call, string? pointer, string? parameter)
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await OpenAsync(anna);
        await SendAsync(socket, $$"""{"type":1,"invocationId":"1",{{call[1..]}}""");
        var reply = await ReceiveAsync(socket, message => message.TryGetProperty("type", out var type) && type.GetInt32() == 3);
        var text = reply!.Value.GetProperty("error").GetString()!;
        var error = JsonSerializer.Deserialize<ErrorBody>(text.AsSpan(text.IndexOf('{', StringComparison.Ordinal)), Wire.Json)!;
        Assert.Equal((ErrorCode.Invalid, pointer, parameter), (error.Code, error.Errors!.Single().Pointer, error.Errors!.Single().Parameter));
    }

    [Theory]
    [InlineData("Send", """[{"roomId":"x","clientMessageId":"x"}]""", "#/roomId", null)]
    [InlineData("Send", """[{"roomId":"00000000-0000-4000-8000-000000000000","ciphertext":"text, not bytes"}]""", "#/ciphertext", null)]
    [InlineData("Send", """[{"roomId":"00000000-0000-4000-8000-000000000000","timeToLiveSeconds":null}]""", "#/clientMessageId", null)]
    [InlineData("Send", """[{"epoch":1,"epoch":2}]""", "#/epoch", null)]
    [InlineData("Send", """[{"timeToLiveSeconds":1.5}]""", "#/timeToLiveSeconds", null)]
    [InlineData("Send", "[[]]", null, "request")]
    [InlineData("SendBatch", """[[{"roomId":7}]]""", "#/0/roomId", null)]
    [InlineData("SendBatch", "[[{}]]", "#/0/roomId", null)]
    [InlineData("SendBatch", "[[null]]", "#/0", null)]
    [InlineData("SendBatch", "[null]", null, "requests")]
    [InlineData("Sync", """["00000000-0000-4000-8000-000000000000","0",10]""", null, "afterSeq")]
    [InlineData("Signal", """["00000000-0000-4000-8000-000000000000","text, not bytes"]""", null, "signal")]
    public async Task An_error_in_message_pack_names_the_argument_or_its_member(string target, string arguments, string? pointer, string? parameter)
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await OpenAsync(anna, "messagepack");
        await socket.SendAsync(
            MessagePackCall(target, MessagePack.MessagePackSerializer.ConvertFromJson(arguments)), WebSocketMessageType.Binary, true, CancellationToken.None);
        var buffer = new byte[4096];
        var received = await socket.ReceiveAsync(buffer.AsMemory(), CancellationToken.None);
        var text = Encoding.UTF8.GetString(buffer, 0, received.Count);
        var json = text[text.IndexOf('{', StringComparison.Ordinal)..(text.LastIndexOf('}') + 1)];
        var error = JsonSerializer.Deserialize<ErrorBody>(json, Wire.Json)!;
        Assert.Equal((ErrorCode.Invalid, pointer, parameter), (error.Code, error.Errors!.Single().Pointer, error.Errors!.Single().Parameter));
    }

    [Fact]
    public async Task Too_many_unreadable_calls_close_the_connection()
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await OpenAsync(anna);
        for (var i = 0; i < 10_000 && socket.State == WebSocketState.Open; i++)
        {
            try
            {
                await SendAsync(socket, $$"""{"type":1,"invocationId":"{{i}}","target":"NoSuchMethod{{i}}","arguments":[]}""");
            }
            catch (WebSocketException)
            {
                break;
            }
        }

        Assert.Null(await ReceiveAsync(socket, _ => false));
        await server.AssertAliveAsync();
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("{")]
    [InlineData("{\"type\":99}")]
    [InlineData("{\"type\":\"one\"}")]
    [InlineData("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[")]
    public async Task An_invalid_frame_closes_at_most_its_own_connection(string frame)
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await OpenAsync(anna);
        await SendAsync(socket, frame);
        await SendAsync(socket, """{"type":1,"invocationId":"last","target":"Heads","arguments":[]}""", mayFail: true);
        await ReceiveAsync(socket, message => message.TryGetProperty("invocationId", out var id) && id.GetString() == "last");
        await server.AssertAliveAsync();
    }

    [Fact]
    public async Task A_frame_over_the_limit_closes_the_connection()
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await OpenAsync(anna);
        await SendAsync(socket, new string(' ', 600 * 1024), mayFail: true);
        Assert.Null(await ReceiveAsync(socket, _ => false));
        await server.AssertAliveAsync();
    }

    [Fact]
    public async Task A_thousand_pipelined_sends_keep_their_order()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        using var socket = await OpenAsync(anna);
        var ids = Enumerable.Range(0, 1000).Select(_ => Guid.NewGuid()).ToArray();
        for (var i = 0; i < ids.Length; i++)
        {
            var send = $$"""{"roomId":"{{room.Id}}","clientMessageId":"{{ids[i]}}","ciphertext":"AQ=="}""";
            await SendAsync(socket, $$"""{"type":1,"invocationId":"{{i}}","target":"Send","arguments":[{{send}}]}""");
        }

        await ReceiveAsync(socket, message => message.TryGetProperty("invocationId", out var id) && id.GetString() == "999");
        var reader = await anna.ConnectAsync();
        var log = await reader.ReadLogAsync(room.Id);
        Assert.Equal(ids, log.Skip(1).Select(entry => entry.Id!.Value));
    }

    [Fact]
    public async Task Bit_flipped_message_pack_never_harms_the_server()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var random = Seed.For(nameof(Bit_flipped_message_pack_never_harms_the_server));
        var good = MessagePackCall(room.Id);
        for (var round = 0; round < 150; round++)
        {
            using var socket = await OpenAsync(anna, "messagepack");
            var bytes = good.ToArray();
            for (var flips = random.Next(1, 5); flips > 0; flips--)
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            await socket.SendAsync(
                bytes.AsMemory(0, random.Next(4) == 0 ? random.Next(bytes.Length) : bytes.Length), WebSocketMessageType.Binary, true, CancellationToken.None);
            // Some frames are harmless, some incomplete. The test checks that other clients continue.
            socket.Abort();
        }

        // Arrays that claim two thousand million elements, and endless nesting.
        foreach (var bomb in new byte[][] { [0x06, 0xdd, 0x7f, 0xff, 0xff, 0xff, 0x01], [0x06, 0xc6, 0x7f, 0xff, 0xff, 0xff, 0x01],
            [0xc8, 0x01, .. Enumerable.Repeat((byte)0x91, 200)] })
        {
            using var socket = await OpenAsync(anna, "messagepack");
            await socket.SendAsync(bomb, WebSocketMessageType.Binary, true, CancellationToken.None);
            Assert.Null(await ReceiveAsync(socket, _ => false));
        }

        await server.AssertAliveAsync();
    }

    private static byte[] MessagePackCall(Guid roomId)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        var writer = new MessagePack.MessagePackWriter(buffer);
        writer.WriteArrayHeader(1);
        writer.WriteMapHeader(3);
        writer.Write("roomId");
        writer.Write(roomId.ToString());
        writer.Write("clientMessageId");
        writer.Write(Guid.NewGuid().ToString());
        writer.Write("ciphertext");
        writer.Write(new byte[] { 1, 2, 3 });
        writer.Flush();
        return MessagePackCall("Send", buffer.WrittenSpan);
    }

    private static byte[] MessagePackCall(string target, ReadOnlySpan<byte> arguments)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        var writer = new MessagePack.MessagePackWriter(buffer);
        writer.WriteArrayHeader(6);
        writer.Write(1);
        writer.WriteMapHeader(0);
        writer.Write("1");
        writer.Write(target);
        writer.WriteRaw(arguments);
        writer.WriteArrayHeader(0);
        writer.Flush();
        // The length in two bytes of seven bits each.
        return [(byte)(buffer.WrittenCount | 0x80), (byte)(buffer.WrittenCount >> 7), .. buffer.WrittenSpan];
    }

    private static async Task<ClientWebSocket> OpenAsync(TestUser user, string protocol = "json")
    {
        var socket = await user.OpenWebSocketAsync();
        await SendAsync(socket, $$"""{"protocol":"{{protocol}}","version":1}""");
        var buffer = new byte[256];
        await socket.ReceiveAsync(buffer.AsMemory(), CancellationToken.None);
        return socket;
    }

    private static async Task SendAsync(ClientWebSocket socket, string message, bool mayFail = false)
    {
        try
        {
            await socket.SendAsync(Encoding.UTF8.GetBytes(message + RecordSeparator), WebSocketMessageType.Text, true, CancellationToken.None);
        }
        catch (WebSocketException) when (mayFail)
        {
            // The server has already disconnected the client.
        }
    }

    /// <summary>The first matching JSON message; null if the connection ends first.</summary>
    private static async Task<JsonElement?> ReceiveAsync(ClientWebSocket socket, Func<JsonElement, bool> wanted)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var buffer = new byte[64 * 1024];
        var text = new StringBuilder();
        try
        {
            while (true)
            {
                var received = await socket.ReceiveAsync(buffer.AsMemory(), timeout.Token);
                if (received.MessageType == WebSocketMessageType.Close)
                    return null;
                text.Append(Encoding.UTF8.GetString(buffer, 0, received.Count));
                var parts = text.ToString().Split(RecordSeparator);
                text.Clear().Append(parts[^1]);
                foreach (var part in parts[..^1])
                {
                    if (part.StartsWith('{') && JsonDocument.Parse(part).RootElement is var message && wanted(message))
                        return message;
                }
            }
        }
        catch (WebSocketException)
        {
            return null;
        }
    }
}

public sealed class HostileClientTestsOnSqlite(SqliteServer server) : HostileClientTests(server);

public sealed class HostileClientTestsOnPostgres(PostgresServer server) : HostileClientTests(server);
