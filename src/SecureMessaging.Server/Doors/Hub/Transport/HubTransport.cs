using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace SecureMessaging.Server.Doors.Hub.Transport;

/// <summary>The bytes of a client's WebSocket after the handshake.</summary>
/// <remarks>
/// Kestrel no longer touches an HTTP/1.1 connection after the handshake; over HTTP/2 the bytes are a stream (RFC 8441 section 5). Writes go to the socket
/// directly instead of through Kestrel's pipe, unless a connection middleware has wrapped the connection, as that of TLS does. Direct writes start after
/// the first byte from the client: before, the pipe may still hold the handshake response, which a client must have before it sends (RFC 6455 section
/// 4.1). A client that sends earlier keeps the pipe.
/// </remarks>
internal sealed class HubTransport(PipeReader input, PipeWriter pipe, Socket? socket)
{
    private PipeWriter? output;
    private volatile bool hasReceived;

    public PipeReader Input => input;

    /// <summary>Decided at the first call, and constant afterwards. Not thread-safe.</summary>
    public PipeWriter Output => output ??= hasReceived && socket is not null ? new SocketOutput(socket) : pipe;

    public static async Task<HubTransport> AcceptAsync(HttpContext context)
    {
        if (context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true } http2)
        {
            var stream = await http2.AcceptAsync();
            return new HubTransport(PipeReader.Create(stream, new StreamPipeReaderOptions(useZeroByteReads: true)), PipeWriter.Create(stream), null);
        }

        // The framework's WebSocket is used only for its handshake: HubWebSocket reads and writes. It must not ping, and holds nothing to dispose.
        await context.WebSockets.AcceptWebSocketAsync(new WebSocketAcceptContext { KeepAliveInterval = Timeout.InfiniteTimeSpan });
        var transport = context.Features.GetRequiredFeature<IConnectionTransportFeature>().Transport;
        var isEarly = transport.Input.TryRead(out var early);
        if (isEarly)
            transport.Input.AdvanceTo(early.Buffer.Start);
        // A middleware replaces the transport by a type of its own.
        var isWrapped = transport.GetType().Assembly != typeof(SocketTransportOptions).Assembly;
        var socket = isEarly || isWrapped ? null : context.Features.Get<IConnectionSocketFeature>()?.Socket;
        return new HubTransport(transport.Input, transport.Output, socket);
    }

    public void NoteReceived() => hasReceived = true;
}
