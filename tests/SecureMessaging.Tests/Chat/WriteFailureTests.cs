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
        var counted = 0L;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, heard) =>
        {
            if (instrument.Meter.Name == ServerMetrics.MeterName && instrument.Name == "securemessaging.hub.failures")
                heard.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
        {
            foreach (var tag in tags)
                Interlocked.Add(ref counted, Equals(tag.Value, "message") ? value : 0);
        });
        listener.Start();
        foreach (var connection in server.Services.GetRequiredService<ChatConnections>().Of(anna.Id))
            connection.SendRoomChanged(room.Id, (RoomChange)99);
        await Eventually.TrueAsync(() => server.Logs.Any(line => line.Contains("cannot be written; the connection ends", StringComparison.Ordinal)));
        Assert.True(Interlocked.Read(ref counted) >= 1);
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
