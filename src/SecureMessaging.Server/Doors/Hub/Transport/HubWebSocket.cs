using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Net.WebSockets;
using System.Security.Claims;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Doors.Hub.Transport;

/// <summary>
/// One hub client's WebSocket as SignalR's connection. Writes go to the connection at once, on the writing thread; received messages are handled on
/// the receiving thread.
/// </summary>
/// <remarks>
/// Replaces SignalR's own connection. That one adds pipes, thread pool turns and streams in both directions, and keeps several KB per connection for
/// changes between transports, which do not exist here. With that one, a delivery costs 1.1 times the CPU, and p99 at 3,000 messages a second is 1.5 times as
/// high (tests/SecureMessaging.Load/README.md, "What each layer buys").
/// </remarks>
/// <param name="transport">The bytes of the WebSocket.</param>
/// <param name="caller">The authenticated caller.</param>
/// <param name="until">The expiry of that authentication.</param>
/// <param name="abort">Closes the TCP connection.</param>
/// <param name="writeFailed">Called with the exception that ended the writing.</param>
internal sealed class HubWebSocket(HubTransport transport, Caller caller, DateTimeOffset? until, Action abort, Action<Exception> writeFailed)
    : ConnectionContext, IDuplexPipe, IConnectionUserFeature, IConnectionHeartbeatFeature, IConnectionLifetimeNotificationFeature, ITransferFormatFeature
{
    /// <summary>After this many seconds without progress of a write the client is disconnected. It reconnects and reads the log.</summary>
    private const int SendTicks = 30;

    /// <summary>Seconds for a client to answer a Close, and for the hub to release a connection.</summary>
    private const int CloseTicks = 5;

    /// <summary>After this many seconds without a byte from the client a ping is sent.</summary>
    private const int QuietTicks = 20;

    /// <summary>
    /// After this many seconds without a byte the connection counts as dead. SignalR's own timeout starts only after the client's first ping.
    /// </summary>
    private const int GoneTicks = 35;

    private static readonly PipeOptions Incoming = new(
        readerScheduler: PipeScheduler.Inline, pauseWriterThreshold: 64 * 1024, resumeWriterThreshold: 32 * 1024, useSynchronizationContext: false);

    private readonly Pipe incoming = new(Incoming);
    private readonly WebSocketFrames frames = new();

    // Never disposed: a tick may still use it, and it holds no resource.
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

    public HubFrameWriter Outgoing { get; } = new(transport, writeFailed);

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

    /// <summary>Always null: <see cref="Caller"/> holds what was read from the claims.</summary>
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

    /// <summary>Makes SignalR ask the client to reconnect, and close. After <see cref="CloseTicks"/> seconds the connection is aborted.</summary>
    public void RequestClose()
    {
        closing = true;
        closeRequested.Cancel();
    }

    public override void Abort(ConnectionAbortedException abortReason)
    {
        // After the end, the TCP connection may serve another request.
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

    /// <summary>Once a second: SignalR's pings and timeouts, and the end of expired, stalled and unclosed connections.</summary>
    public void Tick(DateTimeOffset now)
    {
        // SignalR aborted the connection and may wait for a write that does not end.
        if (Outgoing.IsGivenUp)
            closing = true;
        quietTicks = isListening ? quietTicks + 1 : 0;
        if (Outgoing.StalledTicks() > SendTicks || quietTicks > GoneTicks || (closing && ++closingTicks > CloseTicks))
        {
            // Cancels running calls too.
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
        created.Set<HubWebSocket>(this);
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
                    transport.NoteReceived();
                quietTicks = 0;
                var goesOn = Take(read.Buffer);
                // After the hub has released the connection, input is read and dropped until the client's Close.
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
            // The hub learns it from the completed input.
        }
        finally
        {
            closing = true;
            await incoming.Writer.CompleteAsync();
        }
    }

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

    /// <summary>Sends a Close (RFC 6455 section 5.5.1); only the first call has an effect.</summary>
    private void SendClose(WebSocketCloseStatus status)
    {
        var payload = new byte[sizeof(ushort)];
        BinaryPrimitives.WriteUInt16BigEndian(payload, (ushort)status);
        Outgoing.Send(new WebSocketControl(WebSocketOpcode.Close, payload));
    }

    private static bool IsGone(Exception exception) =>
        exception is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException;
}
