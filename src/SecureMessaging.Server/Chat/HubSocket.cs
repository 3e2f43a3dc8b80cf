using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Net.WebSockets;
using System.Security.Claims;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using SecureMessaging.Server.Auth;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// One client of the hub on its WebSocket, as SignalR sees it. What is written goes to the connection at once and on the thread that writes it; what
/// arrives is handled on the thread that received it.
/// </summary>
/// <remarks>
/// SignalR's own connection puts pipes, turns of the thread pool and streams between the hub and the connection in both directions, and keeps several KB for
/// connections that change their transport, which none here does.
/// </remarks>
/// <param name="transport">The bytes of the client's WebSocket.</param>
/// <param name="caller">Who it is.</param>
/// <param name="until">Till when that is proven.</param>
/// <param name="abort">Cuts the connection.</param>
/// <param name="writeFailed">Called with what ended the writing to the client.</param>
internal sealed class HubSocket(HubTransport transport, Caller caller, DateTimeOffset? until, Action abort, Action<Exception> writeFailed)
    : ConnectionContext, IDuplexPipe, IConnectionUserFeature, IConnectionHeartbeatFeature, IConnectionLifetimeNotificationFeature, ITransferFormatFeature
{
    /// <summary>A reader that takes nothing for so many ticks is cut off; it will come back and sync.</summary>
    private const int SendTicks = 30;

    /// <summary>So many ticks a client has to answer the closing of its socket, and the hub to let go of one that is gone.</summary>
    private const int CloseTicks = 5;

    /// <summary>So many ticks without a byte, and the client is asked whether it is there; it is gone if it does not say so. SignalR times out only who has pinged once.</summary>
    private const int QuietTicks = 20;
    private const int GoneTicks = 35;

    private static readonly PipeOptions Incoming = new(
        readerScheduler: PipeScheduler.Inline, pauseWriterThreshold: 64 * 1024, resumeWriterThreshold: 32 * 1024, useSynchronizationContext: false);

    private readonly Pipe incoming = new(Incoming);
    private readonly WebSocketFrames frames = new();

    // Never disposed: a tick may still ask for it, and it holds nothing that would need to be.
    private readonly CancellationTokenSource closeRequested = new();
    private readonly List<(Action<object> Beat, object State)> heartbeats = new(2);
    private FeatureCollection? features;
    private IDictionary<object, object?>? items;
    private int closingTicks;
    private int quietTicks;
    private volatile bool isListening;
    private volatile bool closing;
    private bool ended;

    public Caller Caller => caller;

    /// <summary>Where deliveries are written beside SignalR's own messages.</summary>
    public HubSocketWriter Outgoing { get; } = new(transport, writeFailed);

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

    PipeWriter IDuplexPipe.Output => Outgoing;

    /// <summary>Nothing here asks for claims: <see cref="Caller"/> is what was read from them.</summary>
    ClaimsPrincipal? IConnectionUserFeature.User { get; set; }

    TransferFormat ITransferFormatFeature.SupportedFormats => TransferFormat.Binary | TransferFormat.Text;

    TransferFormat ITransferFormatFeature.ActiveFormat
    {
        get => Outgoing.Kind == WebSocketOpcode.Binary ? TransferFormat.Binary : TransferFormat.Text;
        set => Outgoing.Kind = value == TransferFormat.Binary ? WebSocketOpcode.Binary : WebSocketOpcode.Text;
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
            SendClose(WebSocketCloseStatus.NormalClosure);
            try
            {
                await receiving;
            }
            finally
            {
                await Outgoing.CloseAsync();
                lock (heartbeats)
                    ended = true;
            }
        }
    }

    /// <summary>Once a second: SignalR's pings and timeouts, and the end of what has expired, stalls or will not close.</summary>
    public void Tick(DateTimeOffset now)
    {
        // SignalR has given the connection up; it may be a write that does not end which it waits for.
        if (Outgoing.IsGivenUp)
            closing = true;
        quietTicks = isListening ? quietTicks + 1 : 0;
        if (Outgoing.StalledTicks() > SendTicks || quietTicks > GoneTicks || (closing && ++closingTicks > CloseTicks))
        {
            // Calls that still run are told, too.
            RequestClose();
            Abort();
            return;
        }

        if (until <= now && !closing)
            RequestClose();
        if (quietTicks == QuietTicks)
            Outgoing.Send(new WebSocketControl(WebSocketOpcode.Ping, []));
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
                isListening = true;
                var read = await transport.Input.ReadAsync();
                isListening = false;
                if (!read.Buffer.IsEmpty)
                    transport.NoteHeard();
                quietTicks = 0;
                var goesOn = Take(read.Buffer);
                // What comes after the hub has let go is read and dropped, up to the client's answer to the closing.
                await incoming.Writer.FlushAsync();
                if (read.IsCompleted || !goesOn)
                    break;
            }
        }
        catch (WebSocketException)
        {
            SendClose(WebSocketCloseStatus.ProtocolError);
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

    /// <summary>Hands what messages hold to SignalR. False when the client closes.</summary>
    private bool Take(ReadOnlySequence<byte> input)
    {
        var closes = false;
        while (!closes && frames.TryReadControl(ref input, incoming.Writer, out var control))
        {
            closes = control.Opcode == WebSocketOpcode.Close;
            if (control.Opcode == WebSocketOpcode.Ping)
                Outgoing.Send(control with { Opcode = WebSocketOpcode.Pong });
        }

        transport.Input.AdvanceTo(input.Start, input.End);
        return !closes;
    }

    /// <summary>Says that nothing more will come, of which the first time counts. RFC 6455 section 5.5.1.</summary>
    private void SendClose(WebSocketCloseStatus status)
    {
        var payload = new byte[sizeof(ushort)];
        BinaryPrimitives.WriteUInt16BigEndian(payload, (ushort)status);
        Outgoing.Send(new WebSocketControl(WebSocketOpcode.Close, payload));
    }

    /// <summary>What the pipe of a connection throws that is gone.</summary>
    private static bool IsGone(Exception exception) =>
        exception is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException;
}
