using System.IO.Pipelines;
using System.Net.Sockets;

namespace SecureMessaging.Server.Doors.Hub.Transport;

/// <summary>
/// Writes to a socket on the flushing thread. Kestrel's pipe uses a thread pool turn, which takes longer than the write, once for each recipient of a
/// message.
/// </summary>
internal sealed class SocketOutput : PipeWriter
{
    private readonly Socket socket;
    private RentedBuffer buffer = new();

    public SocketOutput(Socket socket)
    {
        this.socket = socket;
        socket.Blocking = false;
    }

    public override Memory<byte> GetMemory(int sizeHint = 0) => buffer.GetMemory(sizeHint);

    public override Span<byte> GetSpan(int sizeHint = 0) => buffer.GetMemory(sizeHint).Span;

    public override void Advance(int bytes) => buffer.Advance(bytes);

    /// <summary>Completes when the operating system has taken all bytes; fails when the connection is closed.</summary>
    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        var sent = socket.Send(buffer.Written.Span, SocketFlags.None, out var error);
        if (error is not (SocketError.Success or SocketError.WouldBlock))
            throw new SocketException((int)error);
        if (sent < buffer.Length)
            return FlushRestAsync(sent, cancellationToken);
        buffer.Return();
        return default;
    }

    public override void CancelPendingFlush() => throw new NotSupportedException();

    public override void Complete(Exception? exception = null)
    {
        // The server closes the socket.
    }

    private async ValueTask<FlushResult> FlushRestAsync(int sent, CancellationToken cancellationToken)
    {
        while (sent < buffer.Length)
            sent += await socket.SendAsync(buffer.Written[sent..], cancellationToken);
        buffer.Return();
        return default;
    }
}
