using System.Diagnostics.Metrics;
using System.IO.Pipelines;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Chat;
using SecureMessaging.Server.Platform;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Chat;

/// <summary>What cannot be written to a client ends its connection, and a log line and a metric say so.</summary>
public sealed class WriteFailureTests(SqliteServer shared)
{
    [Fact]
    public async Task A_message_that_cannot_be_serialised_is_logged_and_counted_and_ends_the_connection()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync();
        await hub.SendAsync(room.Id, [1]);
        using var counter = new Counter("message");
        foreach (var connection in server.Services.GetRequiredService<ChatConnections>().Of(anna.Id))
            connection.SendRoomChanged(room.Id, (RoomChange)99);
        await Eventually.TrueAsync(() => server.Logs.Any(line => line.Contains("cannot be written; the connection ends", StringComparison.Ordinal)));
        Assert.True(counter.Count >= 1);
        await Eventually.TrueAsync(() => server.Services.GetRequiredService<ChatConnections>().Of(anna.Id).IsEmpty);
    }

    [Fact]
    public async Task A_failure_of_the_writer_is_reported_with_its_exception()
    {
        var reported = new TaskCompletionSource<Exception>(TaskCreationOptions.RunContinuationsAsynchronously);
        var writer = new HubSocketWriter(new HubTransport(new Pipe().Reader, new BrokenPipe(), null), exception => reported.TrySetResult(exception));
        writer.Send(new byte[] { 1, 2, 3 });
        var exception = await reported.Task.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Assert.Equal("a framing bug", Assert.IsType<NotSupportedException>(exception).Message);
        await Eventually.TrueAsync(() => writer.IsGivenUp);
    }

    [Fact]
    public async Task What_ends_the_writing_is_counted_and_a_defect_is_logged_with_its_exception_and_a_client_that_is_gone_is_not()
    {
        await using var server = await shared.DedicatedAsync();
        var sockets = server.Services.GetRequiredService<HubSockets>();
        using var counter = new Counter("write");
        sockets.WriteFailed(new IOException("The client is gone."));
        sockets.WriteFailed(new OperationCanceledException());
        Assert.True(counter.Count >= 2);
        Assert.DoesNotContain(server.Logs, line => line.Contains("be written", StringComparison.Ordinal) || line.Contains("is gone", StringComparison.Ordinal));
        var before = counter.Count;
        sockets.WriteFailed(new NotSupportedException("a framing bug"));
        Assert.True(counter.Count > before);
        var logged = Assert.Single(server.Logs, line => line.Contains("Nothing more can be written to a connection of the hub", StringComparison.Ordinal));
        Assert.Contains("\"@l\":\"Error\"", logged, StringComparison.Ordinal);
        Assert.Contains("a framing bug", logged, StringComparison.Ordinal);
    }

    /// <summary>Counts failures of one kind. A meter is heard by its name, so those of the other servers of this process count in.</summary>
    private sealed class Counter : IDisposable
    {
        private readonly MeterListener listener = new();
        private long count;

        public Counter(string kind)
        {
            listener.InstrumentPublished = (instrument, heard) =>
            {
                if (instrument.Meter.Name == ServerMetrics.MeterName && instrument.Name == "securemessaging.hub.failures")
                    heard.EnableMeasurementEvents(instrument);
            };
            listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
            {
                foreach (var tag in tags)
                    Interlocked.Add(ref count, Equals(tag.Value, kind) ? value : 0);
            });
            listener.Start();
        }

        public long Count => Interlocked.Read(ref count);

        public void Dispose() => listener.Dispose();
    }

    private sealed class BrokenPipe : PipeWriter
    {
        public override void Advance(int bytes) => throw new NotSupportedException("a framing bug");

        public override Memory<byte> GetMemory(int sizeHint = 0) => new byte[Math.Max(sizeHint, 64)];

        public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

        public override void CancelPendingFlush()
        {
        }

        public override void Complete(Exception? exception = null)
        {
        }

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => default;
    }
}
