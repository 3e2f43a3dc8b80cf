using System.IO.Pipelines;
using Microsoft.AspNetCore.Hosting;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Chat;

/// <summary>An operator's connection middleware, for example one that encrypts or records, is never bypassed.</summary>
public sealed class WrappedConnectionTests(SqliteServer shared)
{
    private const int Messages = 10;
    private const int MessageBytes = 20_000;

    [Fact]
    public async Task A_middleware_that_wraps_the_connection_sees_every_byte_of_the_hub()
    {
        var written = 0L;
        await using var server = await shared.DedicatedAsync(builder => builder.WebHost.ConfigureKestrel(kestrel =>
            kestrel.ConfigureEndpointDefaults(endpoint => endpoint.Use(next => async connection =>
            {
                var transport = connection.Transport;
                connection.Transport = new Wrapped(transport.Input, new CountingWriter(transport.Output, bytes => Interlocked.Add(ref written, bytes)));
                try
                {
                    await next(connection);
                }
                finally
                {
                    connection.Transport = transport;
                }
            }))));
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync(messagePack: true);
        var before = Interlocked.Read(ref written);
        for (var i = 0; i < Messages; i++)
            await hub.SendAsync(room.Id, new byte[MessageBytes]);
        await hub.WaitAsync(room.Id, entries => entries.Length >= Messages);
        Assert.InRange(Interlocked.Read(ref written) - before, Messages * MessageBytes, long.MaxValue);
    }

    private sealed class Wrapped(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;
    }

    private sealed class CountingWriter(PipeWriter inner, Action<int> count) : PipeWriter
    {
        public override bool CanGetUnflushedBytes => inner.CanGetUnflushedBytes;

        public override long UnflushedBytes => inner.UnflushedBytes;

        public override void Advance(int bytes)
        {
            count(bytes);
            inner.Advance(bytes);
        }

        public override Memory<byte> GetMemory(int sizeHint = 0) => inner.GetMemory(sizeHint);

        public override Span<byte> GetSpan(int sizeHint = 0) => inner.GetSpan(sizeHint);

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => inner.FlushAsync(cancellationToken);

        public override void CancelPendingFlush() => inner.CancelPendingFlush();

        public override void Complete(Exception? exception = null) => inner.Complete(exception);
    }
}
