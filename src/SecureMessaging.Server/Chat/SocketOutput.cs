using System.IO.Pipelines;
using System.Net.Sockets;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// Writes to a socket on the thread that flushes. A server's pipe does it in a turn of the thread pool, which takes longer than the write, and there is one for
/// each client that a message goes to.
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

    /// <summary>Completes when the system has taken everything, and with an exception when the connection is gone.</summary>
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
        // The socket is the server's to close.
    }

    private async ValueTask<FlushResult> FlushRestAsync(int sent, CancellationToken cancellationToken)
    {
        while (sent < buffer.Length)
            sent += await socket.SendAsync(buffer.Written[sent..], cancellationToken);
        buffer.Return();
        return default;
    }
}
