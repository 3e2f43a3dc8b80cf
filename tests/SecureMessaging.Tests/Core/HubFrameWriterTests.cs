using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using SecureMessaging.Server.Doors.Hub.Transport;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Core;

/// <summary>The states of one connection's output: idle, held until the end of a batch, writing, stalled, closed, failed.</summary>
public sealed class HubFrameWriterTests
{
    private const int Runs = 300;
    private const int StepsOfARun = 60;

    [Fact]
    public void Frames_of_a_batch_leave_in_one_write_at_its_end()
    {
        var output = new Output();
        var writer = Create(output);
        var batch = new WriteBatch();
        writer.Send(new byte[] { 1 }, batch);
        writer.Send(new byte[] { 2 }, batch);
        Assert.Equal(0, output.Flushes);
        batch.Flush();
        Assert.Equal(1, output.Flushes);
        Assert.Equal([[1], [2]], output.Frames().Select(frame => frame.Payload));
    }

    [Fact]
    public void A_reply_without_a_batch_joins_the_frames_that_a_batch_holds()
    {
        var output = new Output();
        var writer = Create(output);
        var batch = new WriteBatch();
        writer.Hold(batch);
        writer.Send(new byte[] { 1 });
        Assert.Equal(0, output.Flushes);
        batch.Flush();
        Assert.Equal([[1]], output.Frames().Select(frame => frame.Payload));
    }

    [Fact]
    public void A_batch_with_much_for_one_client_does_not_keep_it_waiting_for_its_end()
    {
        var output = new Output();
        var writer = Create(output);
        var batch = new WriteBatch();
        for (var i = 0; i < 200; i++)
            writer.Send(new byte[] { (byte)i }, batch);
        Assert.InRange(output.Frames().Count, 100, 200);
        batch.Flush();
        Assert.Equal(Enumerable.Range(0, 200), output.Frames().Select(frame => (int)frame.Payload[0]));
    }

    [Fact]
    public void A_client_that_does_not_read_gets_only_the_newest_control_frame()
    {
        var output = new Output { IsBlocked = true };
        var writer = Create(output);
        writer.Send(new byte[] { 1 });
        Assert.Equal([1, 2, 3], [writer.StalledTicks(), writer.StalledTicks(), writer.StalledTicks()]);
        for (byte i = 0; i < 50; i++)
            writer.Send(new WebSocketControl(WebSocketOpcode.Ping, [i]));
        Assert.Equal(1, writer.Waiting.Frames);
        output.Unblock();
        Assert.Equal(0, writer.StalledTicks());
        Assert.Equal([(WebSocketOpcode.Text, 1), (WebSocketOpcode.Ping, 49)], output.Frames().Select(frame => (frame.Opcode, (int)frame.Payload[0])));
    }

    [Fact]
    public async Task A_flush_of_SignalR_waits_only_while_the_client_does_not_read()
    {
        var output = new Output();
        var writer = Create(output);
        writer.Write("read"u8);
        var flush = writer.FlushAsync(TestContext.Current.CancellationToken).AsTask();
        Assert.True(flush.IsCompletedSuccessfully);
        output.IsBlocked = true;
        writer.Write("not read"u8);
        flush = writer.FlushAsync(TestContext.Current.CancellationToken).AsTask();
        Assert.False(flush.IsCompleted);
        output.Unblock();
        Assert.False((await flush).IsCompleted);
    }

    [Fact]
    public async Task Close_is_the_last_frame_and_the_end_waits_for_the_running_write()
    {
        var output = new Output { IsBlocked = true };
        var writer = Create(output);
        writer.Send(new byte[] { 1 });
        writer.Send(new WebSocketControl(WebSocketOpcode.Close, [3, 232]));
        writer.Send(new byte[] { 2 });
        var end = writer.CloseAsync();
        Assert.False(end.IsCompleted);
        output.Unblock();
        await end.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Assert.Equal([WebSocketOpcode.Text, WebSocketOpcode.Close], output.Frames().Select(frame => frame.Opcode));
    }

    [Fact]
    public void A_failed_write_is_reported_once_and_everything_after_it_is_dropped()
    {
        var reported = new List<Exception>();
        var output = new Output { Failure = new IOException("reset") };
        var writer = new HubFrameWriter(new HubTransport(new Pipe().Reader, output, null), reported.Add);
        writer.Send(new byte[] { 1 });
        writer.Send(new byte[] { 2 });
        Assert.Single(reported);
        Assert.True(writer.IsGivenUp);
        Assert.Equal((0, 0), writer.Waiting);
        Assert.True(writer.CloseAsync().IsCompleted);
    }

    [Fact]
    public void Frames_leave_complete_and_in_call_order_in_every_interleaving()
    {
        for (var run = 0; run < Runs; run++)
        {
            var seed = Seed.Value + run;
            var dice = new Random(seed);
            var output = new Output();
            var writer = Create(output);
            var batch = new WriteBatch();
            var sent = new List<byte[]>();
            for (var step = 0; step < StepsOfARun; step++)
            {
                var payload = new byte[dice.Next(3) == 0 ? dice.Next(70_000) : 1 + dice.Next(200)];
                dice.NextBytes(payload);
                switch (dice.Next(7))
                {
                    case 0:
                        batch.Flush();
                        batch = new WriteBatch();
                        break;
                    case 1:
                        output.IsBlocked = true;
                        break;
                    case 2:
                        output.Unblock();
                        break;
                    case 3:
                        writer.Hold(batch);
                        break;
                    case 4 when payload.Length > 0:
                        writer.Write(payload);
                        _ = writer.FlushAsync(TestContext.Current.CancellationToken).AsTask();
                        sent.Add(payload);
                        break;
                    default:
                        writer.Send(payload, dice.Next(2) == 0 ? batch : null);
                        sent.Add(payload);
                        break;
                }
            }

            batch.Flush();
            output.Unblock();
            // A thread of the pool may still write: after some writes in a row the writer lets others have its thread.
            SpinWait.SpinUntil(() => writer.Waiting.Frames == 0, TimeSpan.FromSeconds(10));
            var received = output.Frames().Select(frame => frame.Payload).ToList();
            Assert.True(sent.Count == received.Count, $"seed {seed}: {received.Count} of {sent.Count} frames");
            for (var i = 0; i < sent.Count; i++)
                Assert.True(sent[i].AsSpan().SequenceEqual(received[i]), $"seed {seed}: frame {i} differs");
        }
    }

    private static HubFrameWriter Create(Output output) =>
        new(new HubTransport(new Pipe().Reader, output, null), exception => Assert.Fail(exception.ToString()));

    /// <summary>Keeps what was written. While it is blocked, flushes wait, as those of a client that does not read.</summary>
    private sealed class Output : PipeWriter
    {
        private readonly Lock gate = new();
        private readonly ArrayBufferWriter<byte> bytes = new();
        private readonly List<TaskCompletionSource<FlushResult>> waiting = [];
        private volatile bool isBlocked;

        public bool IsBlocked
        {
            get => isBlocked;
            set => isBlocked = value;
        }

        public Exception? Failure { get; init; }

        public int Flushes { get; private set; }

        public void Unblock()
        {
            TaskCompletionSource<FlushResult>[] flushes;
            lock (gate)
            {
                isBlocked = false;
                flushes = [.. waiting];
                waiting.Clear();
            }

            foreach (var flush in flushes)
                flush.SetResult(default);
        }

        public List<(WebSocketOpcode Opcode, byte[] Payload)> Frames()
        {
            lock (gate)
            {
                var frames = new List<(WebSocketOpcode, byte[])>();
                for (var rest = bytes.WrittenSpan; !rest.IsEmpty;)
                {
                    var (length, header) = rest[1] switch
                    {
                        126 => (BinaryPrimitives.ReadUInt16BigEndian(rest[2..]), 4),
                        127 => ((int)BinaryPrimitives.ReadUInt64BigEndian(rest[2..]), 10),
                        var small => (small, 2),
                    };
                    frames.Add(((WebSocketOpcode)(rest[0] & 0x0F), rest.Slice(header, length).ToArray()));
                    rest = rest[(header + length)..];
                }

                return frames;
            }
        }

        public override Memory<byte> GetMemory(int sizeHint = 0) => bytes.GetMemory(sizeHint);

        public override Span<byte> GetSpan(int sizeHint = 0) => bytes.GetSpan(sizeHint);

        public override void Advance(int count)
        {
            lock (gate)
                bytes.Advance(count);
        }

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
        {
            if (Failure is not null)
                throw Failure;
            lock (gate)
            {
                Flushes++;
                if (!isBlocked)
                    return default;
                var flush = new TaskCompletionSource<FlushResult>();
                waiting.Add(flush);
                return new ValueTask<FlushResult>(flush.Task);
            }
        }

        public override void CancelPendingFlush() => throw new NotSupportedException();

        public override void Complete(Exception? exception = null) => throw new NotSupportedException();
    }
}
