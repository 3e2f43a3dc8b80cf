using System.Net;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>What the hub pushes. Calls come one after the other from the connection's receive loop and must not block it: its queue has no bound.</summary>
internal interface IHubPushes
{
    void OnReceived(Guid roomId, LogEntry[] entries);

    void OnSignaled(Guid roomId, byte[] signal);

    void OnRoomChanged(Guid roomId, RoomChange change);

    void OnResync(Guid roomId);
}

/// <summary>
/// The connection to the hub, for ever: the first connect and every one after it are retried with full jitter. Before the token expires, and when the node
/// drains, the next connection is made while the old one still serves, so that the application sees no gap.
/// </summary>
internal sealed partial class HubLink(Uri server, Session session, Http http, IHubPushes pushes, ClientOptions options, Warnings warnings, ILogger logger)
{
    /// <summary>A connection that lasted this long was a good one: the next attempt starts again with a short wait.</summary>
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(5);

    private const double ShortestLifeMs = 250;
    private const double LongestLifeMs = 24 * 3600 * 1000;

    private readonly Uri _address = new(server, Wire.HubPath.TrimStart('/'));
    private readonly Lock _gate = new();
    private TaskCompletionSource<Connection> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Connection? _live;
    private string? _rejectedToken;

    /// <summary>A connection was made; pushes before it may be missing.</summary>
    public event Action? Connected;

    /// <summary>There is no connection now.</summary>
    public event Action? Lost;

    /// <summary>Keeps a connection until the session ends or the token is cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var backoff = new Backoff(options);
        Connection? current = null;
        try
        {
            while (true)
            {
                try
                {
                    var next = await ConnectAsync(cancellationToken);
                    var connectedAt = options.TimeProvider.GetTimestamp();
                    var previous = current;
                    current = next;
                    Publish(next);
                    if (previous is not null)
                        await previous.DisposeAsync();
                    await NextNeededAsync(next, cancellationToken);
                    var settled = options.TimeProvider.GetElapsedTime(connectedAt) > Settled;
                    if (settled)
                        backoff.Reset();
                    if (settled || !next.IsClosed)
                        continue;
                }
                catch (Exception e) when (!session.IsOver && !cancellationToken.IsCancellationRequested)
                {
                    ConnectFailed(logger, e.GetType().Name);
                    warnings.Raise(ClientWarningKind.Connection, $"Connecting failed: {e.Message}", e);
                }
                await backoff.DelayAsync(null, cancellationToken);
            }
        }
        finally
        {
            if (current is not null)
                await current.DisposeAsync();
        }
    }

    /// <summary>
    /// Calls the hub once there is a connection. A connection that breaks or gives no answer is an <see cref="ErrorCode.Unavailable"/>, and an answer that
    /// is null or not valid an <see cref="ErrorCode.Internal"/>: outcome unknown.
    /// </summary>
    public async Task<T> InvokeAsync<T>(string method, object?[] arguments, Predicate<T> isValid, CancellationToken cancellationToken)
        where T : class
    {
        var answer = await CallAsync(method, typeof(T), arguments, cancellationToken) as T;
        return answer is not null && isValid(answer) ? answer : throw new SecureMessagingException("The server's answer is incomplete.");
    }

    /// <summary>Calls a method without an answer once there is a connection.</summary>
    public Task<object?> InvokeAsync(string method, object?[] arguments, CancellationToken cancellationToken) =>
        CallAsync(method, typeof(object), arguments, cancellationToken);

    /// <summary>Repeats an idempotent call until it is answered.</summary>
    public async Task<T> UntilAnsweredAsync<T>(Func<Task<T>> call, CancellationToken cancellationToken)
    {
        var backoff = new Backoff(options);
        while (true)
        {
            try
            {
                return await call();
            }
            catch (SecureMessagingException e) when (e.Retryable || (e.ErrorCode == ErrorCode.Unauthenticated && !session.IsOver))
            {
                await backoff.DelayAsync(e.RetryAfter, cancellationToken);
            }
        }
    }

    /// <summary>Whether a call would go out at once.</summary>
    public bool IsConnected
    {
        get
        {
            lock (_gate)
                return _live is not null;
        }
    }

    /// <summary>Whoever waits for a connection waits in vain from now on.</summary>
    public void GiveUp()
    {
        lock (_gate)
        {
            if (!_ready.TrySetException(SecureMessagingException.SignedOut()))
            {
                _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
                _ready.SetException(SecureMessagingException.SignedOut());
            }
            _ = _ready.Task.Exception;
        }
    }

    private async Task<object?> CallAsync(string method, Type answer, object?[] arguments, CancellationToken cancellationToken)
    {
        Task<Connection> ready;
        lock (_gate)
            ready = _ready.Task;
        var connection = await ready.WaitAsync(cancellationToken);
        using var timeout = new CancellationTokenSource(options.CallTimeout, options.TimeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            return await connection.Hub.InvokeCoreAsync(method, answer, arguments, either.Token);
        }
        catch (HubException e)
        {
            throw SecureMessagingException.FromHub(e);
        }
        catch (OperationCanceledException e) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // A hub that keeps the connection alive but answers nothing would hold everything up.
            connection.MarkClosed();
            throw SecureMessagingException.Unreachable(e);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            throw SecureMessagingException.Unreachable(e);
        }
    }

    private async Task<Connection> ConnectAsync(CancellationToken cancellationToken)
    {
        var token = await session.AccessTokenAsync(_rejectedToken, cancellationToken);
        var connection = new Connection(Build(token), session.RenewAt);
        try
        {
            Listen(connection);
            await connection.Hub.StartAsync(cancellationToken);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>Returns when this connection has closed, is about to expire, or its node wants it gone.</summary>
    private async Task NextNeededAsync(Connection connection, CancellationToken cancellationToken)
    {
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var untilRenewal = Math.Clamp((connection.RenewAt - options.TimeProvider.GetUtcNow()).TotalMilliseconds, ShortestLifeMs, LongestLifeMs);
        var renewal = Task.Delay(TimeSpan.FromMilliseconds(untilRenewal), options.TimeProvider, leave.Token);
        var first = await Task.WhenAny(connection.Closed, connection.Draining, renewal);
        if (first == connection.Draining)
        {
            var within = await connection.Draining;
            Draining(logger, within);
            var jitter = Task.Delay(TimeSpan.FromMilliseconds(options.Random.NextDouble() * within), options.TimeProvider, leave.Token);
            await Task.WhenAny(connection.Closed, jitter);
        }
        await leave.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
    }

    private void Publish(Connection next)
    {
        lock (_gate)
        {
            if (next.IsClosed)
                return;
            _live = next;
            if (_ready.Task.IsCompletedSuccessfully)
                _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _ready.TrySetResult(next);
        }
        Connected?.Invoke();
    }

    private void OnClosed(Connection connection)
    {
        lock (_gate)
        {
            if (_live != connection)
                return;
            _live = null;
            if (_ready.Task.IsCompletedSuccessfully)
                _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
        Lost?.Invoke();
    }

    private void Listen(Connection connection)
    {
        var hub = connection.Hub;
        hub.On<Guid, LogEntry[]>(nameof(IChatClient.Received), pushes.OnReceived);
        hub.On<Guid, byte[]>(nameof(IChatClient.Signaled), pushes.OnSignaled);
        hub.On<Guid, RoomChange>(nameof(IChatClient.RoomChanged), pushes.OnRoomChanged);
        hub.On<Guid>(nameof(IChatClient.Resync), pushes.OnResync);
        hub.On<int>(nameof(IChatClient.Draining), connection.Drain);
        hub.On<SessionEndReason>(nameof(IChatClient.SessionEnded), _ => session.End());
        hub.Closed += e =>
        {
            if (e is not null)
                warnings.Raise(ClientWarningKind.Connection, $"The connection was lost: {e.Message}", e);
            connection.MarkClosed();
            return Task.CompletedTask;
        };
        connection.OnClosed = () => OnClosed(connection);
    }

    private HubConnection Build(string token)
    {
        var builder = new HubConnectionBuilder().WithUrl(_address, connection =>
        {
            connection.Transports = HttpTransportType.WebSockets;
            connection.SkipNegotiation = true;
            connection.WebSocketFactory = (context, cancellationToken) => UpgradeAsync(context.Uri, token, cancellationToken);
        });
        if (options.LoggerFactory is not null)
            builder.Services.AddSingleton(options.LoggerFactory);
        if (options.UseJson)
            builder.AddJsonProtocol(json => Wire.Configure(json.PayloadSerializerOptions));
        else
            builder.AddMessagePackProtocol(pack => pack.SerializerOptions = WireMessagePack.Options);
        var hub = builder.Build();
        hub.ServerTimeout = TimeSpan.FromSeconds(30);
        hub.KeepAliveInterval = TimeSpan.FromSeconds(10);
        hub.HandshakeTimeout = TimeSpan.FromSeconds(10);
        return hub;
    }

    /// <summary>Upgrades by hand, so that the token stands in a header and never in the URL, and so that a 401 can be told from a failure.</summary>
    private async ValueTask<WebSocket> UpgradeAsync(Uri uri, string token, CancellationToken cancellationToken)
    {
        var socket = new ClientWebSocket();
        try
        {
            socket.Options.SetRequestHeader("Authorization", "Bearer " + token);
            socket.Options.CollectHttpResponseDetails = true;
            using var invoker = new HttpMessageInvoker(http.Handler, disposeHandler: false);
            await socket.ConnectAsync(uri, invoker, cancellationToken);
            return socket;
        }
        catch (Exception e)
        {
            var status = socket.HttpStatusCode;
            socket.Dispose();
            if (status == HttpStatusCode.Unauthorized)
                _rejectedToken = token;
            if (Http.IsRedirect(status))
                throw Http.Redirected(uri, null, e);
            throw;
        }
    }

    [LoggerMessage(7003, LogLevel.Debug, "Connecting failed with {ExceptionType}")]
    private static partial void ConnectFailed(ILogger logger, string exceptionType);

    [LoggerMessage(7004, LogLevel.Debug, "The node drains; connecting anew within {Milliseconds} ms")]
    private static partial void Draining(ILogger logger, int milliseconds);

    /// <summary>One connection and what is known of its end.</summary>
    private sealed class Connection(HubConnection hub, DateTimeOffset renewAt) : IAsyncDisposable
    {
        private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource<int> _draining = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public HubConnection Hub => hub;

        public DateTimeOffset RenewAt => renewAt;

        public Task Closed => _closed.Task;

        public Task<int> Draining => _draining.Task;

        public bool IsClosed => _closed.Task.IsCompleted;

        public Action? OnClosed { get; set; }

        public void Drain(int milliseconds) => _draining.TrySetResult(Math.Clamp(milliseconds, 0, 60_000));

        public void MarkClosed()
        {
            if (_closed.TrySetResult())
                OnClosed?.Invoke();
        }

        public async ValueTask DisposeAsync()
        {
            await hub.DisposeAsync();
            MarkClosed();
        }
    }
}
