using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Harness;

/// <summary>A client of the hub that writes its WebSocket's frames (RFC 6455 section 5.2) byte by byte, so that they can be wrong.</summary>
internal sealed class FrameSocket : IDisposable
{
    private readonly TcpClient client = new();

    public NetworkStream Stream => client.GetStream();

    /// <summary>Connected, and the hub protocol agreed on: JSON.</summary>
    /// <param name="user">Who connects.</param>
    /// <param name="node">Where to.</param>
    /// <param name="early">Whether it speaks before it has the answer to its handshake.</param>
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

    /// <summary>The request for a WebSocket of the hub.</summary>
    public static byte[] Upgrade(TestUser user, Uri node) => Encoding.ASCII.GetBytes(
        $"GET {Wire.HubPath} HTTP/1.1\r\nHost: {node.Authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        + $"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {user.Tokens.AccessToken}\r\n\r\n");

    /// <summary>A masked frame.</summary>
    /// <param name="first">FIN, reserved bits and opcode.</param>
    /// <param name="payload">What it holds.</param>
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

    /// <summary>The next frame. The opcode is -1 when there is none and the connection has ended, -2 when it was reset.</summary>
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
                // RFC 6455 section 5.2: as short as can be.
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
