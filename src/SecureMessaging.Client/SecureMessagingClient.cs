using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// One account on one server: sends that survive crashes and outages, and the log of each room in order, without gaps or duplicates.
/// All members are thread-safe, but only one loop at a time may read <see cref="ReadAllAsync"/>.
/// </summary>
public sealed partial class SecureMessagingClient : IAsyncDisposable
{
    private readonly ClientOptions options;
    private readonly ClientStore store;
    private readonly Http http;
    private readonly Session session;
    private readonly HubLink link;
    private readonly Inbox inbox;
    private readonly Outbox outbox;
    private readonly Warnings warnings = new();
    private readonly ILogger logger;
    private readonly CancellationTokenSource running = new();
    private readonly Lock gate = new();
    private TaskCompletionSource? started;
    private Task? loops;
    private int readers;
    private bool disposed;

    private SecureMessagingClient(Uri server, StoredSession stored, ClientStore store, Http http, ClientOptions options)
    {
        (this.store, this.http, this.options, Server) = (store, http, options, server);
        logger = (options.LoggerFactory ?? NullLoggerFactory.Instance).CreateLogger("SecureMessaging.Client");
        session = new Session(stored, store, http, options, warnings, logger);
        inbox = new Inbox(store, options, warnings, logger);
        link = new HubLink(server, session, http, inbox, options, warnings, logger);
        outbox = new Outbox(store, link, options, warnings, logger);
        var rest = new Rest(http, session);
        Rooms = new RoomsApi(rest);
        Account = new AccountApi(rest, session, store);
        Admin = new AdminApi(rest, new LogFollower(server, session, http, options, warnings));

        warnings.Raised += Warn;
        session.Ended += OnSessionEnded;
        link.Connected += () =>
        {
            SetState(ConnectionState.Connected);
            inbox.CompareHeads();
        };
        link.Lost += () => SetState(disposed ? ConnectionState.Disconnected : ConnectionState.Connecting);
        inbox.Signaled += signal => Raise(() => Signaled?.Invoke(signal));
        outbox.Failed += failure => Raise(() => SendFailed?.Invoke(failure));
    }

    /// <summary>The state changed. Called from a thread of the SDK: return soon.</summary>
    public event Action<ConnectionState>? StateChanged;

    /// <summary>An ephemeral signal was received. Called from the receive loop: return at once.</summary>
    public event Action<RoomSignal>? Signaled;

    /// <summary>
    /// The server rejected a queued message for good. A call of <see cref="SendAsync"/> that waits for it throws the same exception.
    /// Called from the send loop: return soon.
    /// </summary>
    public event Action<SendFailure>? SendFailed;

    /// <summary>
    /// Something failed in the background, and the client retries or continues without it. Each failure that no call throws is reported here. Called from
    /// a thread of the SDK: return soon.
    /// </summary>
    public event Action<ClientWarning>? Warning;

    /// <summary>The server's address.</summary>
    public Uri Server { get; }

    /// <summary>The account's id.</summary>
    public Guid UserId => session.UserId;

    /// <summary>The account's username, in lower case.</summary>
    public string Username => session.Username;

    /// <summary>The session's id.</summary>
    public Guid SessionId => session.SessionId;

    /// <summary>The state of the connection.</summary>
    public ConnectionState State { get; private set; }

    /// <summary>The number of messages in the outbox.</summary>
    public int PendingSends => outbox.Count;

    /// <summary>Rooms and their members.</summary>
    public RoomsApi Rooms { get; }

    /// <summary>The account and its sessions.</summary>
    public AccountApi Account { get; }

    /// <summary>Administration of the server, for administrators.</summary>
    public AdminApi Admin { get; }

    /// <summary>
    /// Starts to connect, send and receive, and returns at once. The client then reconnects without end, until it is disposed or the session is over.
    /// </summary>
    public void Connect()
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            if (session.IsOver)
                throw SecureMessagingException.SignedOut();
            if (loops is not null)
                return;
            started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var start = started.Task;
            loops = Task.WhenAll(
                LoopAsync(start, link.RunAsync), LoopAsync(start, outbox.RunAsync), LoopAsync(start, token => inbox.RunAsync(link, token)));
        }
        SetState(ConnectionState.Connecting);
        started.SetResult();
    }

    /// <summary>Encrypts a message, writes it to disk, and waits until the server has stored it, across reconnects.</summary>
    /// <param name="roomId">The room.</param>
    /// <param name="content">The content. The room's cipher encrypts it.</param>
    /// <param name="timeToLive">The longest time that the server keeps it; null: the room's default.</param>
    /// <param name="cancellationToken">Ends the wait. The message stays queued: it may have reached the server already.</param>
    /// <exception cref="SecureMessagingException">The server rejected it for good, the outbox is full, or the session is over.</exception>
    /// <exception cref="IOException">The store cannot be written: nothing was queued.</exception>
    public Task<SendReceipt> SendAsync(
        Guid roomId, ReadOnlyMemory<byte> content, TimeSpan? timeToLive = null, CancellationToken cancellationToken = default)
    {
        var waiter = new TaskCompletionSource<SendReceipt>(TaskCreationOptions.RunContinuationsAsynchronously);
        Enqueue(roomId, content, timeToLive, waiter);
        return waiter.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Encrypts a message and writes it to disk. It is sent in the background, after a restart too.</summary>
    /// <returns>The client message id: the <see cref="LogEntry.Id"/> under which it appears in the room.</returns>
    /// <exception cref="SecureMessagingException">The outbox is full, or the session is over.</exception>
    /// <exception cref="IOException">The store cannot be written: nothing was queued.</exception>
    public Task<Guid> EnqueueAsync(Guid roomId, ReadOnlyMemory<byte> content, TimeSpan? timeToLive = null, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult(Enqueue(roomId, content, timeToLive, null));
    }

    /// <summary>Redacts an own entry. Waits for a connection. Idempotent.</summary>
    public Task RetractAsync(Guid roomId, long seq, CancellationToken cancellationToken = default) =>
        link.UntilAnsweredAsync(
            () => link.InvokeAsync<SendAck>(nameof(IChatHub.Retract), [roomId, seq], _ => true, cancellationToken), cancellationToken);

    /// <summary>
    /// Reports that the user has received everything up to here, for the unread count on their other devices. Waits for a connection.
    /// </summary>
    public Task MarkDeliveredAsync(Guid roomId, long seq, CancellationToken cancellationToken = default) =>
        link.UntilAnsweredAsync(() => link.InvokeAsync(nameof(IChatHub.MarkDelivered), [roomId, seq], cancellationToken), cancellationToken);

    /// <summary>Sends opaque bytes to the members who are connected now: at most once, not stored, and not encrypted by the SDK.</summary>
    /// <exception cref="SecureMessagingException">There is no connection, or the server rejected the call.</exception>
    public Task SignalAsync(Guid roomId, byte[] signal, CancellationToken cancellationToken = default) => link.IsConnected
        ? link.InvokeAsync(nameof(IChatHub.Signal), [roomId, signal], cancellationToken)
        : Task.FromException(SecureMessagingException.Unreachable());

    /// <summary>
    /// The events of all rooms, each room in the order of its log, each entry once. Starts where the application stopped, or in a new room at the oldest
    /// readable entry. Ends when the client is disposed; throws <see cref="ErrorCode.Unauthenticated"/> once the session is over.
    /// </summary>
    /// <remarks>
    /// An event counts as taken when the next one is requested, and then the cursor is stored. So after a crash, or after a loop was left and the store is
    /// opened again, only the current event is repeated. While the cursor cannot be stored (the disk is full), events continue, and those without a stored
    /// cursor are repeated after a restart.
    /// </remarks>
    /// <exception cref="InvalidOperationException">Another loop is reading.</exception>
    public async IAsyncEnumerable<RoomEvent> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        if (Interlocked.Exchange(ref readers, 1) != 0)
            throw new InvalidOperationException("Another loop is reading the events.");
        try
        {
            await foreach (var arrival in inbox.Arrivals.ReadAllAsync(cancellationToken))
            {
                yield return ToEvent(arrival);
                inbox.Taken(arrival);
            }
        }
        finally
        {
            Volatile.Write(ref readers, 0);
        }
    }

    /// <summary>Reads a page of a room's log without moving any cursor, for scrolling back. Waits for a connection.</summary>
    /// <param name="roomId">The room.</param>
    /// <param name="afterSeq">The entries after this one; 0 for the oldest.</param>
    /// <param name="limit">At most this many, up to <see cref="Limits.PageEntries"/>.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public async Task<HistoryPage> ReadHistoryAsync(Guid roomId, long afterSeq, int limit, CancellationToken cancellationToken = default)
    {
        var page = await link.UntilAnsweredAsync(() => Inbox.ReadPageAsync(link, roomId, afterSeq, limit, cancellationToken), cancellationToken);
        return new([.. page.Entries.Select(entry => ToEvent(roomId, entry))], page.HeadSeq, page.FirstSeq);
    }

    private Guid Enqueue(Guid roomId, ReadOnlyMemory<byte> content, TimeSpan? timeToLive, TaskCompletionSource<SendReceipt>? waiter)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (session.IsOver)
            throw SecureMessagingException.SignedOut();
        return outbox.Enqueue(
            roomId,
            id => options.Cipher.Seal(roomId, new EnvelopeContext(id, UserId, Username, options.TimeProvider.GetUtcNow()), content.Span),
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
            return new MessageReceived(roomId, entry, options.Cipher.Open(roomId, id, ciphertext));
        }
        catch (Exception e)
        {
            // A cipher can throw anything for hostile bytes. The messages after them must still arrive.
            return new Undecryptable(roomId, entry, e.Message);
        }
    }

    private void OnSessionEnded()
    {
        var reason = SecureMessagingException.SignedOut();
        link.GiveUp();
        outbox.GiveUp(reason);
        inbox.Close(reason);
        SetState(ConnectionState.SignedOut);
        if (!disposed)
            _ = running.CancelAsync();
    }

    /// <summary>A loop ends when the client is disposed or the session is over. If it ends otherwise, all waiting calls fail.</summary>
    private async Task LoopAsync(Task start, Func<CancellationToken, Task> loop)
    {
        try
        {
            await start;
            await loop(running.Token);
        }
        catch (OperationCanceledException) when (running.IsCancellationRequested)
        {
            // Asked to stop.
        }
        catch (SecureMessagingException) when (session.IsOver)
        {
            // OnSessionEnded has reported it.
        }
        catch (Exception e)
        {
            LoopFailed(logger, e);
            Warn(new(ClientWarningKind.Stopped, $"The client has stopped: {e.Message}", e));
            outbox.GiveUp(e);
            inbox.Close(e);
            SetState(ConnectionState.Disconnected);
        }
    }

    private void SetState(ConnectionState state)
    {
        lock (gate)
        {
            if (State == state || State == ConnectionState.SignedOut)
                return;
            State = state;
        }
        Raise(() => StateChanged?.Invoke(state));
    }

    /// <summary>A handler of the application must not end the loop that calls it.</summary>
    private void Raise(Action handlers)
    {
        try
        {
            handlers();
        }
        catch (Exception e)
        {
            HandlerFailed(logger, e);
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
            HandlerFailed(logger, e);
        }
    }

    [LoggerMessage(7010, LogLevel.Critical, "A loop of the client ended")]
    private static partial void LoopFailed(ILogger logger, Exception exception);

    [LoggerMessage(7011, LogLevel.Error, "An event handler of the application failed")]
    private static partial void HandlerFailed(ILogger logger, Exception exception);
}
