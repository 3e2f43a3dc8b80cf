using System.Buffers;
using System.IO.Pipelines;
using System.Net.WebSockets;

namespace SecureMessaging.Server.Chat;

/// <summary>Each flush is one message on the WebSocket. SignalR writes under a lock of its own, so there is one writer at a time.</summary>
internal sealed class HubSocketWriter(WebSocket socket) : PipeWriter
{
    private const int MinimumLength = 256;

    private byte[] buffer = [];
    private int length;
    private int started;
    private int finished;
    private int seenStarted;
    private int ticks;
    private bool givenUp;

    public WebSocketMessageType Kind { get; set; } = WebSocketMessageType.Text;

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => length;

    /// <summary>How often this has been asked while one and the same message was on its way.</summary>
    public int StalledTicks()
    {
        var now = Volatile.Read(ref started);
        ticks = Volatile.Read(ref finished) != now && now == seenStarted ? ticks + 1 : 0;
        seenStarted = now;
        return ticks;
    }

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return buffer.AsMemory(length);
    }

    public override Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return buffer.AsSpan(length);
    }

    public override void Advance(int bytes) => length += bytes;

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (length == 0)
            return default;
        var (rented, count) = (buffer, length);
        (buffer, length) = ([], 0);
        return SendAsync(rented.AsMemory(0, count), rented);
    }

    public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
    {
        if (length == 0)
            return SendAsync(source, null);
        source.Span.CopyTo(GetSpan(source.Length));
        Advance(source.Length);
        return FlushAsync(cancellationToken);
    }

    /// <summary>Whether SignalR, which cancels a flush only then, has aborted the connection.</summary>
    public bool IsGivenUp => Volatile.Read(ref givenUp);

    /// <summary>A message cannot be taken back halfway. Whoever reads gets it to its end; who does not is cut off.</summary>
    public override void CancelPendingFlush() => Volatile.Write(ref givenUp, true);

    public override void Complete(Exception? exception = null)
    {
        // Somebody may be writing into the buffer just now: it is not given back.
    }

    private ValueTask<FlushResult> SendAsync(ReadOnlyMemory<byte> message, byte[]? rented)
    {
        ValueTask sending;
        Volatile.Write(ref started, started + 1);
        try
        {
            sending = socket.SendAsync(message, Kind, WebSocketMessageFlags.EndOfMessage, CancellationToken.None);
        }
        catch (Exception exception) when (HubSocket.IsGone(exception))
        {
            return ValueTask.FromResult(Finish(rented, gone: true));
        }

        return sending.IsCompletedSuccessfully ? ValueTask.FromResult(Finish(rented, gone: false)) : AwaitAsync(sending, rented);
    }

    private async ValueTask<FlushResult> AwaitAsync(ValueTask sending, byte[]? rented)
    {
        try
        {
            await sending;
            return Finish(rented, gone: false);
        }
        catch (Exception exception) when (HubSocket.IsGone(exception))
        {
            return Finish(rented, gone: true);
        }
    }

    private FlushResult Finish(byte[]? rented, bool gone)
    {
        Volatile.Write(ref finished, started);
        if (rented is not null)
            Return(rented);
        return new FlushResult(isCanceled: false, isCompleted: gone);
    }

    private void Reserve(int sizeHint)
    {
        sizeHint = Math.Max(sizeHint, 1);
        if (buffer.Length - length >= sizeHint)
            return;
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(MinimumLength, Math.Max(buffer.Length * 2, length + sizeHint)));
        buffer.AsSpan(0, length).CopyTo(larger);
        Return(buffer);
        buffer = larger;
    }

    private static void Return(byte[] array)
    {
        if (array.Length > 0)
            ArrayPool<byte>.Shared.Return(array);
    }
}
