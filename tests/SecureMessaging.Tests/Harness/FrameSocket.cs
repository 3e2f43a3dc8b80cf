using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Harness;

/// <summary>A hub client that writes its WebSocket frames (RFC 6455 section 5.2) byte by byte, so that they can be wrong.</summary>
internal sealed class FrameSocket : IDisposable
{
    private readonly TcpClient client = new();

    public NetworkStream Stream => client.GetStream();

    /// <summary>Connects and agrees on the JSON hub protocol.</summary>
    /// <param name="user">The user.</param>
    /// <param name="node">The server.</param>
    /// <param name="early">Whether it sends before it has the handshake response.</param>
    public static async Task<FrameSocket> OpenAsync(TestUser user, Uri node, bool early = false)
    {
        var hello = Frame(0x81, "{\"protocol\":\"json\",\"version\":1}\u001e"u8);
        var socket = new FrameSocket();
        await socket.client.ConnectAsync(node.Host, node.Port);
        await socket.Stream.WriteAsync((byte[])[.. Upgrade(user, node), .. early ? hello : []]);
        var head = new StringBuilder();
        for (var one = new byte[1]; !head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal); head.Append((char)one[0]))
            await socket.Stream.ReadExactlyAsync(one);
        Assert.StartsWith("HTTP/1.1 101", head.ToString(), StringComparison.Ordinal);
        // The example of RFC 6455 section 1.3.
        Assert.Contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", head.ToString(), StringComparison.Ordinal);
        if (!early)
            await socket.Stream.WriteAsync(hello);
        Assert.Equal(1, (await socket.ReceiveAsync()).Opcode);
        return socket;
    }

    /// <summary>The upgrade request of the hub.</summary>
    public static byte[] Upgrade(TestUser user, Uri node) => Encoding.ASCII.GetBytes(
        $"GET {Wire.HubPath} HTTP/1.1\r\nHost: {node.Authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        + $"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {user.Tokens.AccessToken}\r\n\r\n");

    /// <summary>A masked frame.</summary>
    /// <param name="first">FIN, reserved bits and opcode.</param>
    /// <param name="payload">The content.</param>
    /// <param name="mask">The masking key.</param>
    public static byte[] Frame(byte first, ReadOnlySpan<byte> payload, uint mask = 0x37FA213D)
    {
        var key = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(key, mask);
        var masked = payload.ToArray();
        for (var i = 0; i < masked.Length; i++)
            masked[i] ^= key[i % 4];
        byte[] length = masked.Length switch
        {
            < 126 => [(byte)(0x80 | masked.Length)],
            <= ushort.MaxValue => [0x80 | 126, (byte)(masked.Length >> 8), (byte)masked.Length],
            _ => [0x80 | 127, 0, 0, 0, 0, (byte)(masked.Length >> 24), (byte)(masked.Length >> 16), (byte)(masked.Length >> 8), (byte)masked.Length],
        };
        return [first, .. length, .. key, .. masked];
    }

    /// <summary>The next frame. Opcode -1: the connection ended; -2: it was reset.</summary>
    public async Task<(int Opcode, byte[] Payload)> ReceiveAsync(CancellationToken cancellationToken = default)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(TimeSpan.FromSeconds(60));
        try
        {
            var head = new byte[2];
            await Stream.ReadExactlyAsync(head, timeout.Token);
            Assert.Equal(0x80, head[0] & 0xF0);
            long length = head[1];
            if (length is 126 or 127)
            {
                var longer = new byte[length == 126 ? 2 : 8];
                await Stream.ReadExactlyAsync(longer, timeout.Token);
                length = longer.Length == 2 ? BinaryPrimitives.ReadUInt16BigEndian(longer) : BinaryPrimitives.ReadInt64BigEndian(longer);
                // RFC 6455 section 5.2: the shortest form.
                Assert.True(length > (longer.Length == 2 ? 125 : ushort.MaxValue));
            }

            var payload = new byte[length];
            await Stream.ReadExactlyAsync(payload, timeout.Token);
            return (head[0] & 0x0F, payload);
        }
        catch (EndOfStreamException)
        {
            return (-1, []);
        }
        catch (IOException)
        {
            return (-2, []);
        }
    }

    public void Dispose() => client.Dispose();
}
