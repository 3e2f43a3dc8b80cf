using System.IO.Pipelines;
using System.Net.WebSockets;
using System.Security.Claims;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using SecureMessaging.Server.Auth;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// One client of the hub on its WebSocket, as SignalR sees it. What SignalR writes goes to the WebSocket at once and on the thread that writes it; what
/// arrives is handled on the thread that received it.
/// </summary>
/// <remarks>
/// SignalR's own connection puts a pipe and a turn of the thread pool between the hub and the socket in both directions, and keeps several KB for connections
/// that change their transport, which none here does.
/// </remarks>
/// <param name="socket">Where the client is.</param>
/// <param name="caller">Who it is.</param>
/// <param name="until">Till when that is proven.</param>
/// <param name="abort">Cuts the connection under the socket.</param>
internal sealed class HubSocket(WebSocket socket, Caller caller, DateTimeOffset? until, Action abort)
    : ConnectionContext, IDuplexPipe, IConnectionUserFeature, IConnectionHeartbeatFeature, IConnectionLifetimeNotificationFeature, ITransferFormatFeature
{
    /// <summary>A reader that takes nothing for so many ticks is cut off; it will come back and sync.</summary>
    private const int SendTicks = 30;

    /// <summary>So many ticks a client has to answer the closing of its socket, and the hub to let go of one that is gone.</summary>
    private const int CloseTicks = 5;

    private static readonly PipeOptions Incoming = new(
        readerScheduler: PipeScheduler.Inline, pauseWriterThreshold: 64 * 1024, resumeWriterThreshold: 32 * 1024, useSynchronizationContext: false);

    private readonly Pipe incoming = new(Incoming);
    private readonly HubSocketWriter outgoing = new(socket);

    // Never disposed: a tick may still ask for it, and it holds nothing that would need to be.
    private readonly CancellationTokenSource closeRequested = new();
    private readonly List<(Action<object> Beat, object State)> heartbeats = new(2);
    private FeatureCollection? features;
    private IDictionary<object, object?>? items;
    private int closingTicks;
    private volatile bool closing;
    private bool ended;

    public Caller Caller => caller;

    public override string ConnectionId { get; set; } = Guid.NewGuid().ToString("N");

    public override IFeatureCollection Features => features ??= CreateFeatures();

    public override IDictionary<object, object?> Items
    {
        get => items ??= new Dictionary<object, object?>();
        set => items = value;
    }

    public override IDuplexPipe Transport
    {
        get => this;
        set => throw new NotSupportedException();
    }

    PipeReader IDuplexPipe.Input => incoming.Reader;

    PipeWriter IDuplexPipe.Output => outgoing;

    /// <summary>Nothing here asks for claims: <see cref="Caller"/> is what was read from them.</summary>
    ClaimsPrincipal? IConnectionUserFeature.User { get; set; }

    TransferFormat ITransferFormatFeature.SupportedFormats => TransferFormat.Binary | TransferFormat.Text;

    TransferFormat ITransferFormatFeature.ActiveFormat
    {
        get => outgoing.Kind == WebSocketMessageType.Binary ? TransferFormat.Binary : TransferFormat.Text;
        set => outgoing.Kind = value == TransferFormat.Binary ? WebSocketMessageType.Binary : WebSocketMessageType.Text;
    }

    CancellationToken IConnectionLifetimeNotificationFeature.ConnectionClosedRequested
    {
        get => closeRequested.Token;
        set => throw new NotSupportedException();
    }

    /// <summary>Has SignalR tell the client to come back, and close. If that takes more than a few seconds, the connection is cut.</summary>
    public void RequestClose()
    {
        closing = true;
        closeRequested.Cancel();
    }

    public override void Abort(ConnectionAbortedException abortReason)
    {
        // Afterwards what is under the socket may serve somebody else.
        lock (heartbeats)
        {
            if (!ended)
                abort();
        }
    }

    void IConnectionHeartbeatFeature.OnHeartbeat(Action<object> action, object state)
    {
        lock (heartbeats)
            heartbeats.Add((action, state));
    }

    /// <summary>Serves the client until either side has had enough.</summary>
    public async Task RunAsync(ConnectionHandler hub)
    {
        var receiving = ReceiveAsync();
        try
        {
            await hub.OnConnectedAsync(this);
        }
        finally
        {
            closing = true;
            await incoming.Reader.CompleteAsync();
            await CloseAsync();
            await receiving;
            lock (heartbeats)
                ended = true;
        }
    }

    /// <summary>Once a second: SignalR's pings and timeouts, and the end of what has expired, stalls or will not close.</summary>
    public void Tick(DateTimeOffset now)
    {
        // SignalR has given the connection up; it may be a write that does not end which it waits for.
        if (outgoing.IsGivenUp)
            closing = true;
        if (outgoing.StalledTicks() > SendTicks || (closing && ++closingTicks > CloseTicks))
        {
            // Calls that still run are told, too.
            RequestClose();
            Abort();
            return;
        }

        if (until <= now && !closing)
            RequestClose();
        lock (heartbeats)
        {
            foreach (var (beat, state) in heartbeats)
                beat(state);
        }
    }

    private FeatureCollection CreateFeatures()
    {
        var created = new FeatureCollection(6);
        created.Set<HubSocket>(this);
        created.Set<IConnectionUserFeature>(this);
        created.Set<IConnectionHeartbeatFeature>(this);
        created.Set<IConnectionLifetimeNotificationFeature>(this);
        created.Set<ITransferFormatFeature>(this);
        return created;
    }

    private async Task ReceiveAsync()
    {
        try
        {
            while (true)
            {
                // Of no length, so that no memory is held while nothing comes.
                var received = await socket.ReceiveAsync(Memory<byte>.Empty, CancellationToken.None);
                if (received.MessageType != WebSocketMessageType.Close)
                    received = await socket.ReceiveAsync(incoming.Writer.GetMemory(), CancellationToken.None);
                if (received.MessageType == WebSocketMessageType.Close)
                    break;
                incoming.Writer.Advance(received.Count);
                if (await incoming.Writer.FlushAsync() is { IsCompleted: true })
                    break;
            }
        }
        catch (Exception exception) when (IsGone(exception))
        {
            // The end of the input says so.
        }
        finally
        {
            closing = true;
            await incoming.Writer.CompleteAsync();
        }
    }

    private async Task CloseAsync()
    {
        try
        {
            if (socket.State is WebSocketState.Open or WebSocketState.CloseReceived)
                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", CancellationToken.None);
        }
        catch (Exception exception) when (IsGone(exception))
        {
            // Closed all the same.
        }
    }

    /// <summary>What a WebSocket throws whose client, or connection, is gone.</summary>
    public static bool IsGone(Exception exception) =>
        exception is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException;
}
