using System.Diagnostics;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Chat;

/// <summary>Connections that hold resources: half-open, slow, or too many.</summary>
public sealed class ConnectionTests(SqliteServer server)
{
    [Trait("Ring", "Full")]
    [Fact]
    public async Task A_silent_client_is_disconnected_within_35_seconds()
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await anna.OpenWebSocketAsync();
        await socket.SendAsync(
            Encoding.UTF8.GetBytes("{\"protocol\":\"json\",\"version\":1}\u001e{\"type\":6}\u001e"), WebSocketMessageType.Text, true, CancellationToken.None);
        Assert.InRange(await SecondsUntilClosedAsync(socket), 20, 36);
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task A_WebSocket_without_a_SignalR_handshake_is_closed_after_the_handshake_timeout()
    {
        await using var anna = await server.SignUpAsync();
        using var socket = await anna.OpenWebSocketAsync();
        Assert.InRange(await SecondsUntilClosedAsync(socket), 12, 25);
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task Slow_request_headers_are_disconnected()
    {
        using var client = new TcpClient();
        await client.ConnectAsync(server.Url.Host, server.Url.Port);
        var stream = client.GetStream();
        var watch = Stopwatch.StartNew();
        try
        {
            foreach (var letter in "GET /v1/limits HTTP/1.1\r\nHost: x\r\nX-Slow: " + new string('a', 60))
            {
                await stream.WriteAsync(new[] { (byte)letter });
                await Task.Delay(250);
            }

            Assert.Fail("The server waited.");
        }
        catch (IOException)
        {
            Assert.InRange(watch.Elapsed.TotalSeconds, 5, 16);
        }
    }

    [Theory]
    [InlineData("--Server:MaxConnectionsPerAddress=20")]
    [InlineData("--Server:MaxConnections=20")]
    public async Task Connections_are_bounded_per_address_and_in_total(string limit)
    {
        await using var own = await server.DedicatedAsync(limit);
        var clients = new List<TcpClient>();
        for (var i = 0; i < 60; i++)
        {
            var client = new TcpClient();
            try
            {
                await client.ConnectAsync(own.Url.Host, own.Url.Port);
                clients.Add(client);
            }
            catch (SocketException)
            {
                client.Dispose();
            }
        }

        var open = 0;
        foreach (var client in clients)
        {
            try
            {
                await client.GetStream().WriteAsync("GET /v1/limits HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"u8.ToArray());
                open += await client.GetStream().ReadAsync(new byte[16]) > 0 ? 1 : 0;
            }
            catch (IOException)
            {
                // Rejected.
            }
        }

        Assert.InRange(open, 15, 20);
        clients.ForEach(client => client.Dispose());
        using var response = await own.Http.GetAsync("/v1/limits");
        response.EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task A_client_whose_token_expires_is_asked_to_reconnect()
    {
        await using var own = await server.DedicatedAsync();
        await using var anna = await own.SignUpAsync();
        using var socket = await StalledSocket.OpenAsync(anna, own.Url, Wire.HubPath);
        await ReadUntilAsync(socket, "{}");
        own.Time.Advance(TimeSpan.FromMinutes(11));
        await ReadUntilAsync(socket, "\"allowReconnect\":true");
        Assert.InRange(await SecondsUntilClosedAsync(socket), 0, 8);
    }

    private static async Task ReadUntilAsync(ClientWebSocket socket, string text)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(15));
        var (buffer, read) = (new byte[1024], "");
        while (!read.Contains(text, StringComparison.Ordinal))
        {
            var received = await socket.ReceiveAsync(buffer.AsMemory(), timeout.Token);
            Assert.NotEqual(WebSocketMessageType.Close, received.MessageType);
            read += Encoding.UTF8.GetString(buffer, 0, received.Count);
        }
    }

    private static async Task<double> SecondsUntilClosedAsync(ClientWebSocket socket)
    {
        var watch = Stopwatch.StartNew();
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(50));
        try
        {
            while ((await socket.ReceiveAsync(new byte[1024].AsMemory(), timeout.Token)).MessageType != WebSocketMessageType.Close)
            {
            }
        }
        catch (WebSocketException)
        {
            // Disconnected, which is equally good.
        }

        return watch.Elapsed.TotalSeconds;
    }
}
