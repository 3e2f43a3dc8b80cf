using System.Diagnostics.Metrics;
using System.IO.Pipelines;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Doors.Hub.Transport;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Chat;

/// <summary>A failed write to a client closes its connection, with a log line and a metric.</summary>
public sealed class WriteFailureTests(SqliteServer shared)
{
    [Fact]
    public async Task An_unserialisable_message_is_logged_and_counted_and_closes_the_connection()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync();
        await hub.SendAsync(room.Id, [1]);
        using var counter = new Counter("message");
        foreach (var connection in server.Services.GetRequiredService<Subscribers>().Of(anna.Id))
            connection.SendRoomChanged(room.Id, (RoomChange)99, 1, null);
        await Eventually.TrueAsync(() => server.Logs.Any(line => line.Contains("cannot be encoded; its connection is closed", StringComparison.Ordinal)));
        Assert.True(counter.Count >= 1);
        await Eventually.TrueAsync(() => server.Services.GetRequiredService<Subscribers>().Of(anna.Id).IsEmpty);
    }

    [Fact]
    public async Task A_failure_of_the_writer_is_reported_with_its_exception()
    {
        var reported = new TaskCompletionSource<Exception>(TaskCreationOptions.RunContinuationsAsynchronously);
        var writer = new HubFrameWriter(new HubTransport(new Pipe().Reader, new BrokenPipe(), null), exception => reported.TrySetResult(exception));
        writer.Send(new byte[] { 1, 2, 3 });
        var exception = await reported.Task.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Assert.Equal("a framing bug", Assert.IsType<NotSupportedException>(exception).Message);
        await Eventually.TrueAsync(() => writer.IsGivenUp);
    }

    [Fact]
    public async Task Write_failures_are_counted_and_only_server_defects_are_logged_as_errors()
    {
        await using var server = await shared.DedicatedAsync();
        var sockets = server.Services.GetRequiredService<HubWebSockets>();
        using var counter = new Counter("write");
        sockets.WriteFailed(new IOException("The client is gone."));
        sockets.WriteFailed(new OperationCanceledException());
        Assert.True(counter.Count >= 2);
        Assert.DoesNotContain(server.Logs, line => line.Contains("be written", StringComparison.Ordinal) || line.Contains("is gone", StringComparison.Ordinal));
        var before = counter.Count;
        sockets.WriteFailed(new NotSupportedException("a framing bug"));
        Assert.True(counter.Count > before);
        var logged = Assert.Single(server.Logs, line => line.Contains("Writing to a hub connection failed; it is closed", StringComparison.Ordinal));
        Assert.Contains("\"@l\":\"Error\"", logged, StringComparison.Ordinal);
        Assert.Contains("a framing bug", logged, StringComparison.Ordinal);
    }

    /// <summary>Counts failures of one kind. Meters are matched by name, so those of other servers in this process count too.</summary>
    private sealed class Counter : IDisposable
    {
        private readonly MeterListener listener = new();
        private long count;

        public Counter(string kind)
        {
            listener.InstrumentPublished = (instrument, subscribed) =>
            {
                if (instrument.Meter.Name == ServerMetrics.MeterName && instrument.Name == "securemessaging.hub.failures")
                    subscribed.EnableMeasurementEvents(instrument);
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
