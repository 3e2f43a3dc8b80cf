using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace SecureMessaging.Server.Chat;

/// <summary>The bytes of a client's WebSocket, after its handshake.</summary>
/// <remarks>
/// An HTTP/1.1 connection is left alone after the handshake, so nothing has to stand between; over HTTP/2 the bytes are a stream of their own (RFC 8441 section 5).
/// Where nothing encrypts on the way, they need not pass the server's pipe on their way out either. They do until the client has been heard: it is the pipe that
/// holds the answer to the handshake, which a client has when it speaks (RFC 6455 section 4.1). With one that has not waited for it, they always do.
/// </remarks>
internal sealed class HubTransport(PipeReader input, PipeWriter pipe, Socket? socket)
{
    private PipeWriter? output;
    private volatile bool heard;

    public PipeReader Input => input;

    /// <summary>Remains what it was at the first time that it was asked for. Not for several threads at once.</summary>
    public PipeWriter Output => output ??= heard && socket is not null ? new SocketOutput(socket) : pipe;

    /// <summary>Opens the WebSocket that the request asks for.</summary>
    public static async Task<HubTransport> AcceptAsync(HttpContext context)
    {
        if (context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true } http2)
        {
            var stream = await http2.AcceptAsync();
            return new HubTransport(PipeReader.Create(stream, new StreamPipeReaderOptions(useZeroByteReads: true)), PipeWriter.Create(stream), null);
        }

        // Only for its handshake: what it would read and write, HubSocket does, and it must not ping meanwhile. It holds nothing that would have to be given back.
        await context.WebSockets.AcceptWebSocketAsync(new WebSocketAcceptContext { KeepAliveInterval = Timeout.InfiniteTimeSpan });
        var transport = context.Features.GetRequiredFeature<IConnectionTransportFeature>().Transport;
        var isEarly = transport.Input.TryRead(out var early);
        if (isEarly)
            transport.Input.AdvanceTo(early.Buffer.Start);
        var isPlain = !isEarly && context.Features.Get<ITlsHandshakeFeature>() is null;
        return new HubTransport(transport.Input, transport.Output, isPlain ? context.Features.Get<IConnectionSocketFeature>()?.Socket : null);
    }

    /// <summary>Notes that the client has sent something.</summary>
    public void NoteHeard() => heard = true;
}
