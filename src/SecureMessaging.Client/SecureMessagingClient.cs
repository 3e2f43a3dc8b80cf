using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// One account on one server: sends that survive crashes and outages, and every room's log in order, without holes or duplicates.
/// All members may be called from several threads at once, except that one loop at a time reads <see cref="ReadAllAsync"/>.
/// </summary>
public sealed partial class SecureMessagingClient : IAsyncDisposable
{
    private readonly ClientOptions _options;
    private readonly ClientStore _store;
    private readonly Http _http;
    private readonly Session _session;
    private readonly HubLink _link;
    private readonly Inbox _inbox;
    private readonly Outbox _outbox;
    private readonly Warnings _warnings = new();
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _running = new();
    private readonly Lock _gate = new();
    private TaskCompletionSource? _started;
    private Task? _loops;
    private int _readers;
    private bool _disposed;

    private SecureMessagingClient(Uri server, StoredSession stored, ClientStore store, Http http, ClientOptions options)
    {
        (_store, _http, _options, Server) = (store, http, options, server);
        _logger = (options.LoggerFactory ?? NullLoggerFactory.Instance).CreateLogger("SecureMessaging.Client");
        _session = new Session(stored, store, http, options, _warnings, _logger);
        _inbox = new Inbox(store, options, _warnings, _logger);
        _link = new HubLink(server, _session, http, _inbox, options, _warnings, _logger);
        _outbox = new Outbox(store, _link, options, _warnings, _logger);
        var rest = new Rest(http, _session);
        Rooms = new RoomsApi(rest);
        Account = new AccountApi(rest, _session, store);
        Admin = new AdminApi(rest, new LogFollower(server, _session, http, options, _warnings));

        _warnings.Raised += Warn;
        _session.Ended += OnSessionEnded;
        _link.Connected += () =>
        {
            SetState(ConnectionState.Connected);
            _inbox.CompareHeads();
        };
        _link.Lost += () => SetState(_disposed ? ConnectionState.Disconnected : ConnectionState.Connecting);
        _inbox.Signaled += signal => Raise(() => Signaled?.Invoke(signal));
        _outbox.Failed += failure => Raise(() => SendFailed?.Invoke(failure));
    }

    /// <summary>The state changed. Called from a thread of the SDK: return soon.</summary>
    public event Action<ConnectionState>? StateChanged;

    /// <summary>An ephemeral signal came in. Called from the receive loop: return at once.</summary>
    public event Action<RoomSignal>? Signaled;

    /// <summary>
    /// The server refused a queued message for good; whoever awaits its <see cref="SendAsync"/> gets the same exception.
    /// Called from the send loop: return soon.
    /// </summary>
    public event Action<SendFailure>? SendFailed;

    /// <summary>
    /// Something failed, and the client copes: it tries again, or goes on without. Every failure that no caller is told of comes here. Called from a thread of
    /// the SDK: return soon.
    /// </summary>
    public event Action<ClientWarning>? Warning;

    /// <summary>The server's address.</summary>
    public Uri Server { get; }

    /// <summary>The account's id.</summary>
    public Guid UserId => _session.UserId;

    /// <summary>The account's username, as the server folded it.</summary>
    public string Username => _session.Username;

    /// <summary>The session's id.</summary>
    public Guid SessionId => _session.SessionId;

    /// <summary>How the client stands towards the server now.</summary>
    public ConnectionState State { get; private set; }

    /// <summary>Messages in the outbox that have neither ack nor failure.</summary>
    public int PendingSends => _outbox.Count;

    /// <summary>Rooms and their members.</summary>
    public RoomsApi Rooms { get; }

    /// <summary>The account and its sessions.</summary>
    public AccountApi Account { get; }

    /// <summary>The server's administration, for those who may.</summary>
    public AdminApi Admin { get; }

    /// <summary>
    /// Starts to connect, send and receive, and returns at once. From here on the client stays connected, whatever it takes, until it is disposed or the
    /// session is over.
    /// </summary>
    public void Connect()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_session.IsOver)
                throw SecureMessagingException.SignedOut();
            if (_loops is not null)
                return;
            _started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var start = _started.Task;
            _loops = Task.WhenAll(
                LoopAsync(start, _link.RunAsync), LoopAsync(start, _outbox.RunAsync), LoopAsync(start, token => _inbox.RunAsync(_link, token)));
        }
        SetState(ConnectionState.Connecting);
        _started.SetResult();
    }

    /// <summary>Seals a message, puts it on disk, and waits until the server has stored it, through as many reconnects as it takes.</summary>
    /// <param name="roomId">The room.</param>
    /// <param name="content">The content, for the room's cipher to seal.</param>
    /// <param name="timeToLive">How long the server keeps it at most; null: the room's default.</param>
    /// <param name="cancellationToken">Ends the wait. The message stays queued: it may have reached the server already.</param>
    /// <exception cref="SecureMessagingException">The server refused it for good, the outbox is full, or the session is over.</exception>
    /// <exception cref="IOException">The store cannot be written: nothing was queued.</exception>
    public Task<SendReceipt> SendAsync(
        Guid roomId, ReadOnlyMemory<byte> content, TimeSpan? timeToLive = null, CancellationToken cancellationToken = default)
    {
        var waiter = new TaskCompletionSource<SendReceipt>(TaskCreationOptions.RunContinuationsAsynchronously);
        Enqueue(roomId, content, timeToLive, waiter);
        return waiter.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Seals a message and puts it on disk; it is sent in the background, after a restart too if need be.</summary>
    /// <returns>The client message id: the <see cref="LogEntry.Id"/> under which it appears in the room.</returns>
    /// <exception cref="SecureMessagingException">The outbox is full, or the session is over.</exception>
    /// <exception cref="IOException">The store cannot be written: nothing was queued.</exception>
    public Task<Guid> EnqueueAsync(Guid roomId, ReadOnlyMemory<byte> content, TimeSpan? timeToLive = null, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult(Enqueue(roomId, content, timeToLive, null));
    }

    /// <summary>Takes back one's own entry. Waits for a connection; safe to repeat.</summary>
    public Task RetractAsync(Guid roomId, long seq, CancellationToken cancellationToken = default) =>
        _link.UntilAnsweredAsync(
            () => _link.InvokeAsync<SendAck>(nameof(IChatHub.Retract), [roomId, seq], _ => true, cancellationToken), cancellationToken);

    /// <summary>
    /// Tells the server that everything up to here has reached the user, for the count of unread entries on their other devices. Waits for a connection.
    /// </summary>
    public Task MarkDeliveredAsync(Guid roomId, long seq, CancellationToken cancellationToken = default) =>
        _link.UntilAnsweredAsync(() => _link.InvokeAsync(nameof(IChatHub.MarkDelivered), [roomId, seq], cancellationToken), cancellationToken);

    /// <summary>Sends opaque bytes to the members who are connected now: at most once, stored nowhere, not sealed by the SDK.</summary>
    /// <exception cref="SecureMessagingException">There is no connection, or the server refused.</exception>
    public Task SignalAsync(Guid roomId, byte[] signal, CancellationToken cancellationToken = default) => _link.IsConnected
        ? _link.InvokeAsync(nameof(IChatHub.Signal), [roomId, signal], cancellationToken)
        : Task.FromException(SecureMessagingException.Unreachable());

    /// <summary>
    /// What happens in all rooms, each room in the order of its log, each entry once. Starts where the application stopped the last time, or in a new room at
    /// the oldest entry that can still be read. Ends when the client is disposed; throws <see cref="ErrorCode.Unauthenticated"/> once the session is over.
    /// </summary>
    /// <remarks>
    /// An event counts as taken when the next one is asked for, and that is written down. So after a crash of the process only the event in hand comes again,
    /// and likewise after a loop that was left, once the store is opened anew. While it cannot be written down (the disk is full, say) the events go on all the
    /// same, and those come again that were not written down.
    /// </remarks>
    /// <exception cref="InvalidOperationException">Another loop is reading.</exception>
    public async IAsyncEnumerable<RoomEvent> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        if (Interlocked.Exchange(ref _readers, 1) != 0)
            throw new InvalidOperationException("Another loop is reading the events.");
        try
        {
            await foreach (var arrival in _inbox.Arrivals.ReadAllAsync(cancellationToken))
            {
                yield return ToEvent(arrival);
                _inbox.Taken(arrival);
            }
        }
        finally
        {
            Volatile.Write(ref _readers, 0);
        }
    }

    /// <summary>Reads a page of a room's log without moving any cursor, for scrolling back. Waits for a connection.</summary>
    /// <param name="roomId">The room.</param>
    /// <param name="afterSeq">The entries after this one; 0 for the oldest.</param>
    /// <param name="limit">At most this many, up to <see cref="Limits.PageEntries"/>.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public async Task<HistoryPage> ReadHistoryAsync(Guid roomId, long afterSeq, int limit, CancellationToken cancellationToken = default)
    {
        var page = await _link.UntilAnsweredAsync(() => Inbox.ReadPageAsync(_link, roomId, afterSeq, limit, cancellationToken), cancellationToken);
        return new([.. page.Entries.Select(entry => ToEvent(roomId, entry))], page.HeadSeq, page.FirstSeq);
    }

    private Guid Enqueue(Guid roomId, ReadOnlyMemory<byte> content, TimeSpan? timeToLive, TaskCompletionSource<SendReceipt>? waiter)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_session.IsOver)
            throw SecureMessagingException.SignedOut();
        return _outbox.Enqueue(
            roomId,
            id => _options.Cipher.Seal(roomId, new EnvelopeContext(id, UserId, Username, _options.TimeProvider.GetUtcNow()), content.Span),
            timeToLive, waiter);
    }

    private RoomEvent ToEvent(Arrival arrival) => arrival switch
    {
        { End: { } change } => new RoomEnded(arrival.RoomId, change),
        { Entry: { } entry } => ToEvent(arrival.RoomId, entry),
        _ => new HistoryGap(arrival.RoomId, arrival.GapFrom, arrival.GapTo),
    };

    private EntryEvent ToEvent(Guid roomId, LogEntry entry)
    {
        if (entry is not { Kind: EntryKind.Message, Id: { } id, Ciphertext: { } ciphertext })
            return entry.Kind == EntryKind.Unknown ? new UnsupportedEntry(roomId, entry) : new RoomEntry(roomId, entry);
        try
        {
            return new MessageReceived(roomId, entry, _options.Cipher.Open(roomId, id, ciphertext));
        }
        catch (Exception e)
        {
            // Whatever a cipher makes of hostile bytes, the messages after them must still arrive.
            return new Undecryptable(roomId, entry, e.Message);
        }
    }

    private void OnSessionEnded()
    {
        var reason = SecureMessagingException.SignedOut();
        _link.GiveUp();
        _outbox.GiveUp(reason);
        _inbox.Close(reason);
        SetState(ConnectionState.SignedOut);
        if (!_disposed)
            _ = _running.CancelAsync();
    }

    /// <summary>A loop ends when the client is disposed or the session is over. Should it ever end otherwise, nobody is left waiting.</summary>
    private async Task LoopAsync(Task start, Func<CancellationToken, Task> loop)
    {
        try
        {
            await start;
            await loop(_running.Token);
        }
        catch (OperationCanceledException) when (_running.IsCancellationRequested)
        {
            // Asked to stop.
        }
        catch (SecureMessagingException) when (_session.IsOver)
        {
            // Already told.
        }
        catch (Exception e)
        {
            LoopFailed(_logger, e);
            Warn(new(ClientWarningKind.Stopped, $"The client has stopped: {e.Message}", e));
            _outbox.GiveUp(e);
            _inbox.Close(e);
            SetState(ConnectionState.Disconnected);
        }
    }

    private void SetState(ConnectionState state)
    {
        lock (_gate)
        {
            if (State == state || State == ConnectionState.SignedOut)
                return;
            State = state;
        }
        Raise(() => StateChanged?.Invoke(state));
    }

    /// <summary>An application's handler must not end the loop that calls it.</summary>
    private void Raise(Action handlers)
    {
        try
        {
            handlers();
        }
        catch (Exception e)
        {
            HandlerFailed(_logger, e);
            Warn(new(ClientWarningKind.Handler, "An event handler of the application failed.", e));
        }
    }

    private void Warn(ClientWarning warning)
    {
        try
        {
            Warning?.Invoke(warning);
        }
        catch (Exception e)
        {
            HandlerFailed(_logger, e);
        }
    }

    [LoggerMessage(7010, LogLevel.Critical, "A loop of the client ended")]
    private static partial void LoopFailed(ILogger logger, Exception exception);

    [LoggerMessage(7011, LogLevel.Error, "An event handler of the application failed")]
    private static partial void HandlerFailed(ILogger logger, Exception exception);
}
