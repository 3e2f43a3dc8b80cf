using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using SecureMessaging.Load.Subjects;

namespace SecureMessaging.Load.Client;

/// <summary>Where a client connects, and as whom.</summary>
/// <param name="Url">The hub, with its query.</param>
/// <param name="Token">Bearer token; null for the bare hub, which has no accounts.</param>
/// <param name="Room">The room that it sends to.</param>
internal sealed record Seat(Uri Url, string? Token, string Room)
{
    public bool IsBare => Token is null;
}

/// <summary>
/// One client: a raw socket, the few bytes of RFC 6455 and of the hub protocol that are needed, and nothing allocated for a message.
/// All of its callbacks come on one thread (see <see cref="Swarm"/>).
/// </summary>
internal sealed class Connection : IDisposable
{
    private const int Outstanding = 256;
    private const byte RecordSeparator = 0x1E;

    // Masked with zeros. The server's pings are empty.
    private static readonly byte[] Pong = [0x8A, 0x80, 0, 0, 0, 0];
    private static readonly Action<Connection, long> Record = static (connection, sent) => connection.Delivered(sent);

    private readonly Swarm swarm;
    private readonly Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly SocketAsyncEventArgs receiving = new();
    private readonly Dialect dialect;
    private readonly byte[] outgoing;
    private readonly long[] startedAt = new long[Outstanding];
    private readonly ulong random;
    private SslStream? secure;
    private byte[] buffer = new byte[4096];
    private byte[] stream = [];
    private int streamed;
    private int filled;
    private int nextId;
    private volatile TaskCompletionSource? called;

    public Connection(Swarm swarm, Dialect dialect, int number)
    {
        (this.swarm, this.dialect) = (swarm, dialect);
        outgoing = new byte[dialect.Length];
        random = swarm.RandomFor(number);
        receiving.SetBuffer(buffer);
        receiving.Completed += (_, _) => Receive();
    }

    public bool IsClosed { get; private set; }

    public async Task ConnectAsync(Seat seat, CancellationToken cancellationToken)
    {
        await socket.ConnectAsync(IPAddress.Loopback, seat.Url.Port, cancellationToken);
        if (seat.Url.Scheme == Uri.UriSchemeHttps)
        {
            secure = new SslStream(new NetworkStream(socket));
            await secure.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    TargetHost = seat.Url.Host,
                    RemoteCertificateValidationCallback = static (_, certificate, _, _) => certificate?.Subject == Certificate.Subject,
                },
                cancellationToken);
        }

        var authorization = seat.Token is null ? "" : $"Authorization: Bearer {seat.Token}\r\n";
        await SendAllAsync(
            Encoding.ASCII.GetBytes(
                $"GET {seat.Url.PathAndQuery} HTTP/1.1\r\nHost: {seat.Url.Authority}\r\nConnection: Upgrade\r\n"
                + $"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                + $"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{authorization}\r\n"),
            cancellationToken);
        var got = 0;
        while (buffer.AsSpan(0, got).IndexOf("\r\n\r\n"u8) < 0)
            got += await ReceiveSomeAsync(got, cancellationToken);
        if (!buffer.AsSpan(0, got).StartsWith("HTTP/1.1 101"u8))
            throw new IOException($"Refused: {Encoding.ASCII.GetString(buffer, 0, Math.Min(got, 200))}");
        await SendAllAsync(Dialect.Handshake(dialect.Json), cancellationToken);
        // The answer is the first frame: {} and the separator.
        got = 0;
        while (got == 0 || buffer.AsSpan(0, got).IndexOf(RecordSeparator) < 0)
            got += await ReceiveSomeAsync(got, cancellationToken);
        var end = buffer.AsSpan(0, got).IndexOf(RecordSeparator) + 1;
        filled = got - end;
        buffer.AsSpan(end, filled).CopyTo(buffer);
        Listen();
    }

    /// <summary>Sends one envelope now. The latency counts from <paramref name="since"/>, which may lie earlier.</summary>
    public void Send(long since)
    {
        var id = Interlocked.Increment(ref nextId) & 0xFF_FFFF;
        startedAt[id % Outstanding] = since;
        dialect.Write(outgoing, id, random, (ulong)id * 0x9E37_79B9_7F4A_7C15, since);
        Write(outgoing);
    }

    /// <summary>Calls a method and waits for its answer. Nothing else may be on its way.</summary>
    public async Task CallAsync(string method, CancellationToken cancellationToken, params object[] arguments)
    {
        var id = Interlocked.Increment(ref nextId) & 0xFF_FFFF;
        called = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Write(Dialect.Call(dialect.Json, id, method, arguments));
        await called.Task.WaitAsync(TimeSpan.FromSeconds(60), cancellationToken);
        called = null;
    }

    public void Dispose()
    {
        IsClosed = true;
        // A reset, so that thousands of these leave no sockets in TIME_WAIT.
        socket.LingerState = new LingerOption(true, 0);
        secure?.Dispose();
        socket.Dispose();
        receiving.Dispose();
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        try
        {
            if (secure is not null)
            {
                // A pong may come while another thread sends.
                lock (secure)
                    secure.Write(bytes);
                return;
            }

            while (!bytes.IsEmpty)
                bytes = bytes[socket.Send(bytes)..];
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or IOException or InvalidOperationException)
        {
            Close();
        }
    }

    private void Listen()
    {
        if (secure is not null)
        {
            _ = ReceiveSecureAsync(secure);
            return;
        }

        try
        {
            receiving.SetBuffer(buffer, filled, buffer.Length - filled);
            if (!socket.ReceiveAsync(receiving))
                Receive();
        }
        catch (ObjectDisposedException)
        {
            Close();
        }
    }

    private void Receive()
    {
        try
        {
            while (true)
            {
                if (receiving.SocketError != SocketError.Success || receiving.BytesTransferred == 0)
                {
                    Close();
                    return;
                }

                Take(receiving.BytesTransferred);
                receiving.SetBuffer(buffer, filled, buffer.Length - filled);
                if (socket.ReceiveAsync(receiving))
                    return;
            }
        }
        catch (ObjectDisposedException)
        {
            Close();
        }
    }

    private async Task ReceiveSecureAsync(SslStream stream)
    {
        try
        {
            while (await stream.ReadAsync(buffer.AsMemory(filled)).ConfigureAwait(false) is > 0 and var got)
                Take(got);
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // Closed below.
        }

        Close();
    }

    private void Take(int bytes)
    {
        filled += bytes;
        swarm.Received(bytes);
        Frames();
        if (filled == buffer.Length)
            Array.Resize(ref buffer, buffer.Length * 2);
    }

    /// <summary>Takes the payloads out of the frames that are complete.</summary>
    private void Frames()
    {
        var at = 0;
        while (filled - at >= 2)
        {
            int length = buffer[at + 1] & 0x7F, header = 2;
            if (length == 126)
            {
                if (filled - at < 4)
                    break;
                (length, header) = ((buffer[at + 2] << 8) | buffer[at + 3], 4);
            }
            else if (length == 127)
            {
                if (filled - at < 10)
                    break;
                (length, header) = ((buffer[at + 6] << 24) | (buffer[at + 7] << 16) | (buffer[at + 8] << 8) | buffer[at + 9], 10);
            }

            if (filled - at < header + length)
            {
                if (header + length > buffer.Length)
                    Array.Resize(ref buffer, Math.Max(buffer.Length * 2, header + length));
                break;
            }

            var opcode = buffer[at] & 0x0F;
            if (opcode <= 2)
                Payload(buffer.AsSpan(at + header, length));
            else if (opcode == 8)
                Close();
            else if (opcode == 9)
                Write(Pong);
            at += header + length;
        }

        filled -= at;
        if (at > 0 && filled > 0)
            buffer.AsSpan(at, filled).CopyTo(buffer);
    }

    /// <summary>Hub messages may be spread over frames; mostly one is one.</summary>
    private void Payload(ReadOnlySpan<byte> payload)
    {
        if (streamed == 0)
        {
            payload = Messages(payload);
            if (payload.IsEmpty)
                return;
        }

        if (stream.Length < streamed + payload.Length)
            Array.Resize(ref stream, Math.Max(stream.Length * 2, streamed + payload.Length));
        payload.CopyTo(stream.AsSpan(streamed));
        streamed += payload.Length;
        var rest = Messages(stream.AsSpan(0, streamed));
        rest.CopyTo(stream);
        streamed = rest.Length;
    }

    private ReadOnlySpan<byte> Messages(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int length, header;
            if (dialect.Json)
            {
                (length, header) = (bytes.IndexOf(RecordSeparator) + 1, 0);
                if (length == 0)
                    return bytes;
            }
            else
            {
                (length, header) = (0, 0);
                do
                {
                    if (header == bytes.Length)
                        return bytes;
                    length |= (bytes[header] & 0x7F) << (7 * header);
                }
                while (bytes[header++] >= 0x80);
                if (bytes.Length < header + length)
                    return bytes;
            }

            Message(bytes.Slice(header, length));
            bytes = bytes[(header + length)..];
        }

        return bytes;
    }

    private void Message(ReadOnlySpan<byte> message)
    {
        switch (dialect.Kind(message))
        {
            case 1:
                dialect.Deliveries(message, this, Record);
                break;
            case 3:
                var (id, failed) = dialect.Completion(message);
                if (called is { } call && failed)
                    call.TrySetException(new IOException("The call was refused."));
                else if (called is { } answered)
                    answered.TrySetResult();
                else
                    swarm.Acknowledged(this, startedAt[id % Outstanding], failed);
                break;
            case 7:
                Close();
                break;
        }
    }

    private void Delivered(long sent) => swarm.Delivered(sent);

    private void Close()
    {
        if (IsClosed)
            return;
        IsClosed = true;
        called?.TrySetException(new IOException("The connection is gone."));
        swarm.Lost();
    }

    private async Task SendAllAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (secure is not null)
        {
            await secure.WriteAsync(bytes, cancellationToken);
            return;
        }

        while (!bytes.IsEmpty)
            bytes = bytes[await socket.SendAsync(bytes, cancellationToken)..];
    }

    private async Task<int> ReceiveSomeAsync(int at, CancellationToken cancellationToken)
    {
        var got = secure is null
            ? await socket.ReceiveAsync(buffer.AsMemory(at), cancellationToken)
            : await secure.ReadAsync(buffer.AsMemory(at), cancellationToken);
        return got > 0 ? got : throw new IOException("Closed while connecting.");
    }
}
