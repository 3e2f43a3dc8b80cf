using System.Net;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// Receives the pushes of the hub. Calls come one at a time from the receive loop of the connection and must not block: its queue is unbounded.
/// </summary>
internal interface IHubPushes
{
    void OnReceived(Guid roomId, LogEntry[] entries);

    void OnSignaled(Guid roomId, byte[] signal);

    void OnRoomChanged(Guid roomId, RoomChange change);

    void OnResync(Guid roomId);
}

/// <summary>
/// Keeps a connection to the hub. Each connect is retried without end, with full jitter. Before the token expires, and when the node drains, the next
/// connection opens while the old one still works, so that the application sees no gap.
/// </summary>
internal sealed partial class HubLink(Uri server, Session session, Http http, IHubPushes pushes, ClientOptions options, Warnings warnings, ILogger logger)
{
    /// <summary>After a connection that lasted this long, the next attempt starts with a short wait.</summary>
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(5);

    private const double ShortestLifeMs = 250;
    private const double LongestLifeMs = 24 * 3600 * 1000;

    private readonly Uri address = new(server, Wire.HubPath.TrimStart('/'));
    private readonly Lock gate = new();
    private TaskCompletionSource<Connection> ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Connection? live;
    private string? rejectedToken;

    /// <summary>A connection was opened. Earlier pushes may be missing.</summary>
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
    /// Calls the hub when there is a connection. A connection that breaks or does not answer is <see cref="ErrorCode.Unavailable"/>, and a null or invalid
    /// answer is <see cref="ErrorCode.Internal"/>. In both cases the outcome is unknown.
    /// </summary>
    public async Task<T> InvokeAsync<T>(string method, object?[] arguments, Predicate<T> isValid, CancellationToken cancellationToken)
        where T : class
    {
        var answer = await CallAsync(method, typeof(T), arguments, cancellationToken) as T;
        return answer is not null && isValid(answer) ? answer : throw new SecureMessagingException("The server's answer is incomplete.");
    }

    /// <summary>Calls a method without an answer when there is a connection.</summary>
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

    /// <summary>Whether a call can be sent now.</summary>
    public bool IsConnected
    {
        get
        {
            lock (gate)
                return live is not null;
        }
    }

    /// <summary>All calls that wait for a connection fail from now on.</summary>
    public void GiveUp()
    {
        lock (gate)
        {
            if (!ready.TrySetException(SecureMessagingException.SignedOut()))
            {
                ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
                ready.SetException(SecureMessagingException.SignedOut());
            }
            _ = ready.Task.Exception;
        }
    }

    private async Task<object?> CallAsync(string method, Type answer, object?[] arguments, CancellationToken cancellationToken)
    {
        Task<Connection> connecting;
        lock (gate)
            connecting = ready.Task;
        var connection = await connecting.WaitAsync(cancellationToken);
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
            // A hub that keeps the connection alive without answering would block all sends.
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
        var token = await session.AccessTokenAsync(rejectedToken, cancellationToken);
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

    /// <summary>Returns when this connection has closed, will expire soon, or its node drains.</summary>
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
        lock (gate)
        {
            if (next.IsClosed)
                return;
            live = next;
            if (ready.Task.IsCompletedSuccessfully)
                ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
            ready.TrySetResult(next);
        }
        Connected?.Invoke();
    }

    private void OnClosed(Connection connection)
    {
        lock (gate)
        {
            if (live != connection)
                return;
            live = null;
            if (ready.Task.IsCompletedSuccessfully)
                ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
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
        var builder = new HubConnectionBuilder().WithUrl(address, connection =>
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

    /// <summary>Our own upgrade: the token is in a header and never in the URL, and a 401 differs from a failure.</summary>
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
                rejectedToken = token;
            if (Http.IsRedirect(status))
                throw Http.Redirected(uri, null, e);
            throw;
        }
    }

    [LoggerMessage(7003, LogLevel.Debug, "Connecting failed with {ExceptionType}")]
    private static partial void ConnectFailed(ILogger logger, string exceptionType);

    [LoggerMessage(7004, LogLevel.Debug, "The node drains; reconnecting within {Milliseconds} ms")]
    private static partial void Draining(ILogger logger, int milliseconds);

    /// <summary>One connection and its end.</summary>
    private sealed class Connection(HubConnection hub, DateTimeOffset renewAt) : IAsyncDisposable
    {
        private readonly TaskCompletionSource closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource<int> draining = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public HubConnection Hub => hub;

        public DateTimeOffset RenewAt => renewAt;

        public Task Closed => closed.Task;

        public Task<int> Draining => draining.Task;

        public bool IsClosed => closed.Task.IsCompleted;

        public Action? OnClosed { get; set; }

        public void Drain(int milliseconds) => draining.TrySetResult(Math.Clamp(milliseconds, 0, 60_000));

        public void MarkClosed()
        {
            if (closed.TrySetResult())
                OnClosed?.Invoke();
        }

        public async ValueTask DisposeAsync()
        {
            await hub.DisposeAsync();
            MarkClosed();
        }
    }
}
