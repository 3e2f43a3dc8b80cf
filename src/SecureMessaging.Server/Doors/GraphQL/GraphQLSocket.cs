using System.Buffers;
using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text.Json;
using System.Threading.Channels;
using GraphQL.SystemTextJson;
using GraphQL.Transport;
using GraphQLParser.AST;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Diagnostics;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>Close codes of the subprotocol. Clients reconnect after 1012, 1013 and 4403, and not after the others.</summary>
internal enum SocketClose
{
    ServiceRestart = 1012,
    TryAgainLater = 1013,
    BadRequest = 4400,
    Unauthorized = 4401,
    Forbidden = 4403,
    SubprotocolNotAcceptable = 4406,
    InitTimeout = 4408,
    SubscriberExists = 4409,
    TooManyInits = 4429,
    Failed = 4500,
}

internal sealed record GraphQLSocketServices(
    Executor Executor, RequestReader Reader, GraphQLSerializer Serializer, SubscriberRegistry Registry, ServerMetrics Metrics, TimeProvider Time,
    IOptions<GraphQLOptions> Options, ILogger<GraphQLSocket> Logger);

/// <summary>
/// One WebSocket of the subprotocol graphql-transport-ws (enisdenjo/graphql-ws, PROTOCOL.md). Queries and mutations run one after the other, in the order of
/// arrival. Subscriptions run beside them.
/// </summary>
internal sealed partial class GraphQLSocket : IDisposable
{
    /// <summary>Holds a batch of <see cref="Limits.BatchBytes"/> in base64, as a frame of the hub does.</summary>
    private const int MaxMessageBytes = 512 * 1024;
    private const int MaxIdLength = 128;

    /// <summary>A client that reads nothing for this long is disconnected. It reconnects with its cursor.</summary>
    private static readonly TimeSpan MaxStall = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(1);

    private readonly WebSocket webSocket;
    private readonly Executor executor;
    private readonly RequestReader reader;
    private readonly GraphQLSerializer serializer;
    private readonly SubscriberRegistry registry;
    private readonly ServerMetrics metrics;
    private readonly TimeProvider time;
    private readonly GraphQLOptions options;
    private readonly ILogger logger;
    private readonly CancellationTokenSource closing;
    private readonly SemaphoreSlim sending = new(1, 1);
    private readonly ConcurrentDictionary<string, SocketOperation> operations = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<Task, bool> running = [];
    private readonly Channel<(SocketOperation Operation, PreparedOperation Prepared)> calls;
    private SocketOwner? owner;
    private SocketSubscriber? subscriber;
    private int closed;

    public GraphQLSocket(WebSocket webSocket, GraphQLSocketServices services, CancellationToken aborted)
    {
        this.webSocket = webSocket;
        (executor, reader, serializer, registry, metrics, time, var settings, logger) = services;
        options = settings.Value;
        closing = CancellationTokenSource.CreateLinkedTokenSource(aborted);
        calls = Channel.CreateBounded<(SocketOperation, PreparedOperation)>(options.MaxOperations);
    }

    public async Task RunAsync(Func<JsonElement?, Task<SocketOwner?>> authenticate)
    {
        Track(CallAsync());
        CloseLater(options.InitTimeout, SocketClose.InitTimeout, "Connection initialisation timeout", () => owner is null);
        try
        {
            await ReceiveAsync(authenticate);
        }
        catch (Exception exception) when (exception is WebSocketException or OperationCanceledException or IOException)
        {
            // The client disconnected without a close frame.
        }
        finally
        {
            if (subscriber is not null)
                registry.Leave(subscriber);
            await closing.CancelAsync();
            calls.Writer.TryComplete();
            await Task.WhenAll(running.Keys).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public Task RefuseAsync(SocketClose code, string reason) => webSocket.CloseOutputAsync((WebSocketCloseStatus)code, reason, closing.Token);

    public void Abort()
    {
        webSocket.Abort();
        Cancel();
    }

    /// <summary>Disconnects a client that does not read. It reconnects with its cursor.</summary>
    public void AbortSlow()
    {
        ClientIsSlow(logger);
        Abort();
    }

    /// <summary>Sends a close frame. A client that does not reply is disconnected after 1 s.</summary>
    public void Close(SocketClose code, string reason)
    {
        if (Interlocked.Exchange(ref closed, 1) == 0)
            _ = CloseAsync(code, reason);
    }

    public void CloseLater(TimeSpan delay, SocketClose code, string reason, Func<bool>? unless = null) => Track(CloseLaterAsync(delay, code, reason, unless));

    public void Dispose()
    {
        closing.Dispose();
        sending.Dispose();
    }

    private async Task CloseLaterAsync(TimeSpan delay, SocketClose code, string reason, Func<bool>? stillDue)
    {
        await Task.Delay(delay, time, closing.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!closing.IsCancellationRequested && stillDue?.Invoke() != false)
            Close(code, reason);
    }

    private async Task CloseAsync(SocketClose code, string reason)
    {
        // No operation writes from here on.
        foreach (var operation in operations.Values)
            operation.Stop();
        try
        {
            if (await sending.WaitAsync(CloseTimeout, time, CancellationToken.None))
            {
                using var patience = new CancellationTokenSource(CloseTimeout, time);
                await webSocket.CloseOutputAsync((WebSocketCloseStatus)code, reason, patience.Token);
                await Task.Delay(CloseTimeout, time, closing.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
        catch (Exception exception) when (
            exception is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // The connection has ended already.
        }

        Cancel();
    }

    private void Cancel()
    {
        try
        {
            closing.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // RunAsync has ended.
        }
    }

    private async Task ReceiveAsync(Func<JsonElement?, Task<SocketOwner?>> authenticate)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        while (true)
        {
            var received = await webSocket.ReceiveAsync(buffer.GetMemory(4096), closing.Token);
            if (received.MessageType == WebSocketMessageType.Close)
            {
                if (Interlocked.Exchange(ref closed, 1) == 0)
                    await webSocket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, closing.Token);
                return;
            }

            buffer.Advance(received.Count);
            if (buffer.WrittenCount > MaxMessageBytes || received.MessageType == WebSocketMessageType.Binary)
            {
                // Further messages are not read.
                if (Interlocked.Exchange(ref closed, 1) == 0)
                    await CloseAsync(SocketClose.BadRequest, "Messages must be text of at most 512 KiB.");
                return;
            }

            if (!received.EndOfMessage)
                continue;
            if (Volatile.Read(ref closed) == 0)
                await HandleAsync(buffer.WrittenMemory, authenticate);
            buffer.ResetWrittenCount();
        }
    }

    private async Task HandleAsync(ReadOnlyMemory<byte> text, Func<JsonElement?, Task<SocketOwner?>> authenticate)
    {
        try
        {
            using var json = reader.Parse(new ReadOnlySequence<byte>(text));
            var message = json.RootElement;
            JsonElement? payload = message.ValueKind == JsonValueKind.Object && message.TryGetProperty("payload", out var given) ? given : null;
            switch (Text(message, "type"))
            {
                case MessageTypes.Init:
                    await InitAsync(payload, authenticate);
                    break;
                case MessageTypes.Ping:
                    await SendAsync(new OperationMessage { Type = MessageTypes.Pong });
                    break;
                case MessageTypes.Pong:
                    break;
                case MessageTypes.Subscribe when Text(message, "id") is { Length: > 0 and <= MaxIdLength } id
                    && payload is { ValueKind: JsonValueKind.Object } request:
                    await SubscribeAsync(id, request);
                    break;
                case MessageTypes.Complete when Text(message, "id") is { } id:
                    if (operations.TryRemove(id, out var operation))
                        operation.Stop();
                    break;
                default:
                    Close(SocketClose.BadRequest, "Invalid message");
                    break;
            }
        }
        catch (ApiException exception) when (exception.Code is ErrorCode.Invalid or ErrorCode.TooLarge)
        {
            Close(SocketClose.BadRequest, "Invalid message");
        }
        catch (ApiException exception) when (exception.Code is ErrorCode.RateLimited)
        {
            Close(SocketClose.TryAgainLater, exception.Message);
        }
        catch (Exception exception) when (exception is not (WebSocketException or OperationCanceledException))
        {
            if (exception is not ApiException)
                Failed(logger, exception);
            Close(SocketClose.Failed, "The server failed.");
        }
    }

    private async Task InitAsync(JsonElement? payload, Func<JsonElement?, Task<SocketOwner?>> authenticate)
    {
        if (owner is not null)
        {
            Close(SocketClose.TooManyInits, "Too many initialisation requests");
            return;
        }

        if (await authenticate(payload) is not { Info.Caller: { } caller } known)
        {
            Close(SocketClose.Forbidden, "Forbidden");
            return;
        }

        owner = known;
        subscriber = new SocketSubscriber(this, caller, metrics);
        if (!await registry.EnterAsync(subscriber, closing.Token))
        {
            Close(SocketClose.Unauthorized, "The session has ended.");
            return;
        }

        if (known.Until is { } until)
            CloseLater(
                TimeSpan.FromTicks(Math.Max(0, (until - time.GetUtcNow()).Ticks)), SocketClose.Forbidden, "The access token has expired: connect again.");
        await SendAsync(new OperationMessage { Type = MessageTypes.Ack });
    }

    private async Task SubscribeAsync(string id, JsonElement request)
    {
        if (owner is null || subscriber is null)
        {
            Close(SocketClose.Unauthorized, "Unauthorized");
            return;
        }

        var operation = new SocketOperation(id, subscriber, closing.Token);
        if (!operations.TryAdd(id, operation))
        {
            operation.Dispose();
            Close(SocketClose.SubscriberExists, "Subscriber for this id already exists");
            return;
        }

        try
        {
            if (operations.Count > options.MaxOperations)
                throw new ApiException(ErrorCode.RateLimited, $"A socket may have at most {options.MaxOperations} running operations.") { RetryAfterMs = 1000 };
            var prepared = executor.Prepare(reader.Read(request), owner.Info);
            if (prepared.Type == OperationType.Subscription)
                Track(FollowAsync(operation, prepared, owner.Info));
            else if (!calls.Writer.TryWrite((operation, prepared)))
                throw new ApiException(ErrorCode.RateLimited, "Too many operations are queued on this socket.") { RetryAfterMs = 1000 };
        }
        catch (ApiException exception)
        {
            await EndAsync(operation, exception);
        }
    }

    private void Track(Task task)
    {
        running.TryAdd(task, true);
        _ = task.ContinueWith(Ended, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private void Ended(Task task)
    {
        running.TryRemove(task, out _);
        if (task.Exception?.InnerException is not { } exception)
            return;
        // The operation gets no result, so the client must notice it and reconnect.
        if (exception is not (WebSocketException or IOException))
            Failed(logger, exception);
        Abort();
    }

    private static string? Text(JsonElement message, string name) =>
        message.ValueKind == JsonValueKind.Object && message.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String
            ? member.GetString()
            : null;

    [LoggerMessage(7100, LogLevel.Error, "A GraphQL socket failed")]
    private static partial void Failed(ILogger logger, Exception exception);

    [LoggerMessage(7101, LogLevel.Debug, "A GraphQL client does not read; its socket is closed")]
    private static partial void ClientIsSlow(ILogger logger);
}
