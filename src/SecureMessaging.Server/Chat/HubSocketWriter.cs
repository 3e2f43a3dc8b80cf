using System.Buffers;
using System.IO.Pipelines;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// Everything that goes to one client of the hub, in the order in which it is given: what SignalR writes, what the tails deliver, and what concerns the socket.
/// Each is one frame; what gathers while a write is on its way, or while a <see cref="WriteBatch"/> is open, leaves together.
/// </summary>
/// <param name="transport">The connection.</param>
/// <param name="failed">Called with what ended the writing.</param>
internal sealed class HubSocketWriter(HubTransport transport, Action<Exception> failed) : PipeWriter, IThreadPoolWorkItem
{
    /// <summary>Written before it is seen whether the client takes it.</summary>
    private const int MaxWriteBytes = 64 * 1024;

    /// <summary>Frames that a batch holds back.</summary>
    private const int MaxHeldFrames = 128;

    /// <summary>Writes that follow each other on one thread: other clients wait for it, too.</summary>
    private const int MaxWritesInARow = 4;

    private readonly Lock gate = new();
    private readonly Queue<Frame> frames = new();
    private TaskCompletionSource? ended;
    private TaskCompletionSource<FlushResult>? flushed;
    private RentedBuffer buffer = new();
    private int waiting;
    private int waitingBytes;
    private int waitingFlushes;
    private int ticks;
    private WebSocketControl? owed;
    private bool isWriting;
    private bool isHeld;
    private bool isStalled;
    private bool isClosed;
    private bool isGivenUp;

    /// <summary>What SignalR writes, and messages are: text or binary.</summary>
    public WebSocketOpcode Kind { get; set; } = WebSocketOpcode.Text;

    /// <summary>Called when the client has taken something, or is gone.</summary>
    public Action? Taken { get; set; }

    /// <summary>Frames that the client has not taken, and their bytes.</summary>
    public (int Frames, int Bytes) Waiting
    {
        get
        {
            lock (gate)
                return (waiting, waitingBytes);
        }
    }

    /// <summary>Whether SignalR, which cancels a flush only then, has aborted the connection, or nothing can be written to it.</summary>
    public bool IsGivenUp => Volatile.Read(ref isGivenUp);

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => buffer.Length;

    /// <summary>How often this has been asked while one and the same write was on its way.</summary>
    public int StalledTicks()
    {
        lock (gate)
            return isStalled ? ++ticks : 0;
    }

    /// <summary>Sends a message that is nobody's to change any more.</summary>
    public void Send(ReadOnlyMemory<byte> message) => Post(new Frame(Kind, message, null));

    /// <summary>
    /// Sends a control frame, after which nothing more is taken if it is a Close. While the client takes nothing only the last one is owed to it
    /// (RFC 6455 section 5.5.3), so that pinging fills no memory.
    /// </summary>
    public void Send(WebSocketControl control)
    {
        lock (gate)
        {
            if (isStalled && control.Opcode != WebSocketOpcode.Close)
            {
                owed = control;
                return;
            }
        }

        Post(new Frame(control.Opcode, control.Payload, null));
    }

    /// <summary>Takes no more. Completes when nothing is on its way.</summary>
    public Task CloseAsync()
    {
        lock (gate)
        {
            isClosed = true;
            return !isWriting ? Task.CompletedTask : (ended ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    public override Memory<byte> GetMemory(int sizeHint = 0) => buffer.GetMemory(sizeHint);

    public override Span<byte> GetSpan(int sizeHint = 0) => buffer.GetMemory(sizeHint).Span;

    public override void Advance(int bytes) => buffer.Advance(bytes);

    /// <summary>SignalR writes under a lock of its own, so there is one at a time. It waits only for a client that takes nothing.</summary>
    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (buffer.Length == 0)
            return default;
        var frame = new Frame(Kind, buffer.Written, buffer.Array);
        buffer = new RentedBuffer();
        Post(frame);
        lock (gate)
        {
            if (isClosed)
                return ValueTask.FromResult(new FlushResult(isCanceled: false, isCompleted: true));
            return !isStalled || waitingFlushes == 0
                ? default
                : new ValueTask<FlushResult>((flushed ??= new TaskCompletionSource<FlushResult>(TaskCreationOptions.RunContinuationsAsynchronously)).Task);
        }
    }

    /// <summary>A message cannot be taken back halfway. Whoever reads gets it to its end; who does not is cut off.</summary>
    public override void CancelPendingFlush() => Volatile.Write(ref isGivenUp, true);

    public override void Complete(Exception? exception = null)
    {
        // Somebody may be writing into the buffer just now: it is not given back.
    }

    /// <summary>At the end of a batch: writes what has gathered, if nobody has seen to it yet.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        lock (gate)
        {
            if (!isHeld)
                return;
            isHeld = false;
        }

        _ = WriteAllAsync();
    }

    /// <summary>Until nothing is left. One at a time; it waits only for a client that takes no more for now.</summary>
    private async Task WriteAllAsync()
    {
        for (var writes = 1; TryTake(out var first); writes++)
        {
            if (writes % MaxWritesInARow == 0)
                await Task.Yield();
            var written = new Written();
            bool gone;
            try
            {
                var output = transport.Output;
                Write(output, first, ref written);
                while (written.Bytes < MaxWriteBytes && TryTakeAnother(out var frame))
                    Write(output, frame, ref written);
                var flush = output.FlushAsync(CancellationToken.None);
                if (!flush.IsCompleted)
                    Stall();
                gone = (await flush).IsCompleted;
            }
            catch (Exception exception)
            {
                // Whatever it was, nothing can be written any more: the next tick closes the connection.
                failed(exception);
                Volatile.Write(ref isGivenUp, true);
                gone = true;
            }

            Finish(written, gone);
            Taken?.Invoke();
        }
    }

    private void Stall()
    {
        lock (gate)
            (isStalled, ticks) = (true, 0);
    }

    private void Post(Frame frame)
    {
        lock (gate)
        {
            if (isClosed)
            {
                frame.Return();
                return;
            }

            Enqueue(frame);
            isClosed = frame.Opcode == WebSocketOpcode.Close;
            // A batch that has much for this client does not wait for its end, or the client would seem to be slow.
            var isMuch = waitingBytes >= MaxWriteBytes || waiting >= MaxHeldFrames;
            if (isWriting && !(isHeld && isMuch))
                return;
            isWriting = true;
            isHeld = !isMuch && WriteBatch.TryHold(this);
            if (isHeld)
                return;
        }

        _ = WriteAllAsync();
    }

    private void Enqueue(Frame frame)
    {
        frames.Enqueue(frame);
        waiting++;
        waitingBytes += frame.Bytes;
        waitingFlushes += frame.Flushes;
    }

    private bool TryTake(out Frame frame)
    {
        lock (gate)
        {
            if (frames.TryDequeue(out frame))
                return true;
            isWriting = false;
            ended?.TrySetResult();
            return false;
        }
    }

    private bool TryTakeAnother(out Frame frame)
    {
        lock (gate)
            return frames.TryDequeue(out frame);
    }

    private static void Write(PipeWriter output, Frame frame, ref Written written)
    {
        written.Frames++;
        written.Bytes += frame.Bytes;
        written.Flushes += frame.Flushes;
        output.Advance(WebSocketFrames.WriteHeader(output.GetSpan(frame.Bytes), frame.Opcode, frame.Payload.Length));
        output.Write(frame.Payload.Span);
        frame.Return();
    }

    private void Finish(Written written, bool gone)
    {
        lock (gate)
        {
            waiting -= written.Frames;
            waitingBytes -= written.Bytes;
            waitingFlushes -= written.Flushes;
            isStalled = false;
            if (owed is { } control && !isClosed)
                Enqueue(new Frame(control.Opcode, control.Payload, null));
            owed = null;
            if (gone)
            {
                isClosed = true;
                while (frames.TryDequeue(out var frame))
                    frame.Return();
                (waiting, waitingBytes, waitingFlushes) = (0, 0, 0);
            }

            if (waitingFlushes > 0)
                return;
            flushed?.TrySetResult(new FlushResult(isCanceled: false, isCompleted: gone));
            flushed = null;
        }
    }

    /// <param name="Opcode">What it is.</param>
    /// <param name="Payload">What it holds.</param>
    /// <param name="Rented">To be given back when it is written, for SignalR's own.</param>
    private readonly record struct Frame(WebSocketOpcode Opcode, ReadOnlyMemory<byte> Payload, byte[]? Rented)
    {
        /// <summary>At most.</summary>
        public int Bytes => WebSocketFrames.MaxHeaderBytes + Payload.Length;

        public int Flushes => Rented is null ? 0 : 1;

        public void Return()
        {
            if (Rented is not null)
                RentedBuffer.Return(Rented);
        }
    }

    /// <summary>What one write holds.</summary>
    private struct Written
    {
        public int Frames;
        public int Bytes;
        public int Flushes;
    }
}
