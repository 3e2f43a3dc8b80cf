using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using SecureMessaging.Protocol;

namespace SecureMessaging.Faults.Clients;

/// <summary>
/// The hub's protocol over a socket and nothing around it. Two thousand of Microsoft's clients in one process take more processor time to knock at a dead
/// node than the node needs to start; this one is for connections that are there to be many. It notices a silent network only when the kernel does.
/// </summary>
internal sealed class ThinHubClient(Uri hub, string? accessToken, HubEvents events) : IHubClient, IInvocationBinder
{
    private static readonly MessagePackHubProtocol Protocol =
        new(Microsoft.Extensions.Options.Options.Create(new MessagePackHubProtocolOptions { SerializerOptions = WireMessagePack.Options }));
    private readonly Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly ConcurrentDictionary<string, (Type Type, TaskCompletionSource<object?> Answer)> calls = new();
    private readonly SemaphoreSlim sending = new(1);
    private WebSocket? webSocket;
    private Task reading = Task.CompletedTask;
    private int lastCall;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await socket.ConnectAsync(IPAddress.Loopback, hub.Port, cancellationToken);
        var key = Convert.ToBase64String(Guid.NewGuid().ToByteArray());
        var request = $"GET {hub.PathAndQuery} HTTP/1.1\r\nHost: {hub.Authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            + $"Sec-WebSocket-Key: {key}\r\nAuthorization: Bearer {accessToken}\r\n\r\n";
        await socket.SendAsync(Encoding.ASCII.GetBytes(request), cancellationToken);
        var status = await ReadHeadAsync(cancellationToken);
        if (status != "101")
            throw new IOException($"The upgrade was answered with {status}.");
        webSocket = WebSocket.CreateFromStream(new NetworkStream(socket), new WebSocketCreationOptions { KeepAliveInterval = TimeSpan.Zero });
        var handshake = new ArrayBufferWriter<byte>();
        HandshakeProtocol.WriteRequestMessage(new HandshakeRequestMessage(Protocol.Name, Protocol.Version), handshake);
        await webSocket.SendAsync(handshake.WrittenMemory, WebSocketMessageType.Binary, endOfMessage: true, cancellationToken);
        var shaken = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        reading = ReadAsync(webSocket, shaken);
        await shaken.Task.WaitAsync(cancellationToken);
    }

    public async Task<T> InvokeAsync<T>(string method, object?[] arguments, CancellationToken cancellationToken)
    {
        var id = Interlocked.Increment(ref lastCall).ToString(System.Globalization.CultureInfo.InvariantCulture);
        var answer = new TaskCompletionSource<object?>(TaskCreationOptions.RunContinuationsAsynchronously);
        calls[id] = (typeof(T), answer);
        var bytes = Protocol.GetMessageBytes(new InvocationMessage(id, method, arguments));
        await sending.WaitAsync(cancellationToken);
        try
        {
            await webSocket!.SendAsync(bytes, WebSocketMessageType.Binary, endOfMessage: true, cancellationToken);
        }
        finally
        {
            sending.Release();
        }

        // One that ended just before the call was noted has failed those before it only.
        if (reading.IsCompleted)
            answer.TrySetException(new IOException("The connection is over."));
        return (T)(await answer.Task.WaitAsync(cancellationToken))!;
    }

    public async ValueTask DisposeAsync()
    {
        socket.Dispose();
        await reading;
        webSocket?.Dispose();
    }

    public Type GetReturnType(string invocationId) => calls.TryGetValue(invocationId, out var call) ? call.Type : typeof(object);

    public IReadOnlyList<Type> GetParameterTypes(string methodName) => methodName switch
    {
        nameof(IChatClient.Received) => [typeof(Guid), typeof(LogEntry[])],
        nameof(IChatClient.Resync) => [typeof(Guid)],
        nameof(IChatClient.Draining) => [typeof(int)],
        // This client ignores all other calls: reading one as a call without arguments fails, and the failure is ignored.
        _ => [],
    };

    public Type GetStreamItemType(string streamId) => typeof(object);

    /// <summary>Reads the head of the answer and returns its status code. The node says nothing after it until it has been spoken to.</summary>
    private async Task<string> ReadHeadAsync(CancellationToken cancellationToken)
    {
        var head = new StringBuilder();
        var buffer = new byte[1024];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            var count = await socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);
            if (count == 0)
                throw new IOException("The connection ended before the upgrade.");
            head.Append(Encoding.ASCII.GetString(buffer, 0, count));
            // Of a refusal only the status matters.
            if (head.Length > 12 && head[9] != '1')
                break;
        }

        return head.ToString(9, 3);
    }

    private async Task ReadAsync(WebSocket from, TaskCompletionSource shaken)
    {
        var buffer = new byte[2048];
        var length = 0;
        try
        {
            while (true)
            {
                if (length == buffer.Length)
                    Array.Resize(ref buffer, buffer.Length * 2);
                var result = await from.ReceiveAsync(buffer.AsMemory(length), CancellationToken.None);
                if (result.MessageType == WebSocketMessageType.Close)
                    break;
                length += result.Count;
                var rest = new ReadOnlySequence<byte>(buffer, 0, length);
                Parse(ref rest, shaken);
                rest.CopyTo(buffer);
                length = (int)rest.Length;
            }
        }
        catch (Exception exception) when (exception is WebSocketException or IOException or ObjectDisposedException or OperationCanceledException)
        {
            // The connection broke, or was given up.
        }

        shaken.TrySetException(new IOException("The connection ended before the handshake."));
        foreach (var (_, answer) in calls.Values)
            answer.TrySetException(new IOException("The connection is over."));
        events.Closed();
    }

    private void Parse(ref ReadOnlySequence<byte> input, TaskCompletionSource shaken)
    {
        if (!shaken.Task.IsCompleted)
        {
            if (!HandshakeProtocol.TryParseResponseMessage(ref input, out var response))
                return;
            if (response.Error is { } error)
                throw new IOException(error);
            shaken.SetResult();
        }

        while (Protocol.TryParseMessage(ref input, this, out var message))
            Handle(message);
    }

    private void Handle(HubMessage message)
    {
        switch (message)
        {
            case CompletionMessage { InvocationId: { } id } completion when calls.TryRemove(id, out var call):
                if (completion.Error is { } error)
                    call.Answer.TrySetException(new HubException(error));
                else
                    call.Answer.TrySetResult(completion.Result);
                break;
            case InvocationMessage { Target: nameof(IChatClient.Received), Arguments: [Guid room, LogEntry[] entries] }:
                events.Received(room, entries);
                break;
            case InvocationMessage { Target: nameof(IChatClient.Resync), Arguments: [Guid room] }:
                events.Resync(room);
                break;
            case InvocationMessage { Target: nameof(IChatClient.Draining), Arguments: [int wait] }:
                events.Draining(wait);
                break;
            case CloseMessage close:
                throw new IOException(close.Error);
        }
    }
}
