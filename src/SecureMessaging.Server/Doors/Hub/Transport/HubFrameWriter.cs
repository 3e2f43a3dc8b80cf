using System.Buffers;
using System.IO.Pipelines;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Doors.Hub.Transport;

/// <summary>
/// Writes everything to one hub client, in call order: SignalR's messages, deliveries and control frames, each as one frame. Frames that gather
/// during a write, or until the end of a <see cref="WriteBatch"/>, leave in one write.
/// </summary>
/// <param name="transport">The connection.</param>
/// <param name="failed">Called with the exception that ended the writing.</param>
internal sealed class HubFrameWriter(HubTransport transport, Action<Exception> failed) : PipeWriter, IBatchedOutput, IThreadPoolWorkItem
{
    /// <summary>One write has about this many bytes. The next one starts when the operating system has taken them.</summary>
    private const int MaxWriteBytes = 64 * 1024;

    /// <summary>With this many frames a client does not wait for the end of the batch.</summary>
    private const int MaxHeldFrames = 128;

    /// <summary>Consecutive writes on one thread. After them other clients get the thread.</summary>
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
    private WebSocketControl? pendingControl;
    private bool isWriting;
    private bool isHeld;
    private bool isStalled;
    private bool isClosed;
    private bool isGivenUp;

    public WebSocketOpcode Kind { get; set; } = WebSocketOpcode.Text;

    /// <summary>Called after each write.</summary>
    public Action? Taken { get; set; }

    /// <summary>Frames and bytes that are not written yet.</summary>
    public (int Frames, int Bytes) Waiting
    {
        get
        {
            lock (gate)
                return (waiting, waitingBytes);
        }
    }

    /// <summary>Whether SignalR aborted the connection (only then it cancels a flush), or writing failed.</summary>
    public bool IsGivenUp => Volatile.Read(ref isGivenUp);

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => buffer.Length;

    /// <summary>Counts calls of this method during one stalled write; 0 if no write is stalled.</summary>
    public int StalledTicks()
    {
        lock (gate)
            return isStalled ? ++ticks : 0;
    }

    /// <summary>Sends a message, at the end of the batch if one is given. The caller must not change it afterwards.</summary>
    public void Send(ReadOnlyMemory<byte> message, WriteBatch? writes = null) => Post(new Frame(Kind, message, null), writes);

    public void Hold(WriteBatch writes)
    {
        lock (gate)
        {
            if (isClosed || isWriting)
                return;
            isWriting = isHeld = true;
        }

        writes.Hold(this);
    }

    /// <summary>
    /// Sends a control frame; a Close is the last frame. While the client reads nothing, only the newest other control frame is kept (RFC 6455
    /// section 5.5.3), so that pings fill no memory.
    /// </summary>
    public void Send(WebSocketControl control)
    {
        lock (gate)
        {
            if (isStalled && control.Opcode != WebSocketOpcode.Close)
            {
                pendingControl = control;
                return;
            }
        }

        Post(new Frame(control.Opcode, control.Payload, null));
    }

    /// <summary>Rejects further frames. Completes when no write is running.</summary>
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

    /// <summary>SignalR holds a lock, so flushes do not overlap. Waits only while the client reads nothing.</summary>
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

    /// <summary>Does not cancel: part of a message cannot be withdrawn. A client that reads gets all of it; any other is disconnected.</summary>
    public override void CancelPendingFlush() => Volatile.Write(ref isGivenUp, true);

    public override void Complete(Exception? exception = null)
    {
        // A write may still use the buffer, so it is not returned to the pool.
    }

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

    /// <summary>Writes until no frame is left. Runs once at a time, and waits only for a client that does not read.</summary>
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

    private void Post(Frame frame, WriteBatch? writes = null)
    {
        bool waits;
        lock (gate)
        {
            if (isClosed)
            {
                frame.Return();
                return;
            }

            Enqueue(frame);
            isClosed = frame.Opcode == WebSocketOpcode.Close;
            // A batch with much for this client is written before its end; otherwise the client would count as slow.
            var isMuch = waitingBytes >= MaxWriteBytes || waiting >= MaxHeldFrames;
            if (isWriting && !(isHeld && isMuch))
                return;
            isWriting = true;
            isHeld = waits = !isMuch && writes is not null;
        }

        if (waits)
            writes!.Hold(this);
        else
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
            if (pendingControl is { } control && !isClosed)
                Enqueue(new Frame(control.Opcode, control.Payload, null));
            pendingControl = null;
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

    /// <param name="Opcode">The frame type.</param>
    /// <param name="Payload">The content.</param>
    /// <param name="Rented">SignalR's buffer, returned to the pool after the write.</param>
    private readonly record struct Frame(WebSocketOpcode Opcode, ReadOnlyMemory<byte> Payload, byte[]? Rented)
    {
        public int Bytes => WebSocketFrames.MaxHeaderBytes + Payload.Length;

        public int Flushes => Rented is null ? 0 : 1;

        public void Return()
        {
            if (Rented is not null)
                RentedBuffer.Return(Rented);
        }
    }

    /// <summary>The content of one write.</summary>
    private struct Written
    {
        public int Frames;
        public int Bytes;
        public int Flushes;
    }
}
