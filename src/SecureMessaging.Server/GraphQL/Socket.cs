using System.Buffers;
using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text.Json;
using System.Threading.Channels;
using GraphQL.SystemTextJson;
using GraphQL.Transport;
using GraphQLParser.AST;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Chat;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.GraphQL;

/// <summary>Why a socket is closed, as the subprotocol numbers it. Clients come back after 1012, 1013 and 4403, and not after the others.</summary>
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

/// <summary>
/// One socket of the subprotocol graphql-transport-ws (enisdenjo/graphql-ws, PROTOCOL.md). Queries and mutations are carried out one after the other, in the
/// order in which they came; subscriptions run beside them.
/// </summary>
internal sealed partial class Socket : IDisposable
{
    /// <summary>Holds a batch of <see cref="Limits.BatchBytes"/> in base64, as a frame of the hub does.</summary>
    private const int MaxMessageBytes = 512 * 1024;
    private const int MaxIdLength = 128;

    /// <summary>A reader that takes nothing for this long is cut off; it comes back with its cursor.</summary>
    private static readonly TimeSpan MaxStall = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(1);

    private readonly WebSocket webSocket;
    private readonly Executor executor;
    private readonly RequestReader reader;
    private readonly GraphQLSerializer serializer;
    private readonly ChatEntrance entrance;
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
    private SocketChatConnection? chat;
    private int closed;

    public Socket(
        WebSocket webSocket, Executor executor, RequestReader reader, GraphQLSerializer serializer, ChatEntrance entrance, ServerMetrics metrics, TimeProvider time,
        GraphQLOptions options, ILogger logger, CancellationToken aborted)
    {
        (this.webSocket, this.executor, this.reader, this.serializer, this.entrance) = (webSocket, executor, reader, serializer, entrance);
        (this.metrics, this.time, this.options, this.logger) = (metrics, time, options, logger);
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
            // Gone without a farewell.
        }
        finally
        {
            if (chat is not null)
                entrance.Leave(chat);
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

    /// <summary>Says why and closes. Who does not read it is cut off soon after.</summary>
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
            if (await sending.WaitAsync(CloseTimeout))
            {
                using var patience = new CancellationTokenSource(CloseTimeout);
                await webSocket.CloseOutputAsync((WebSocketCloseStatus)code, reason, patience.Token);
                await Task.Delay(CloseTimeout, time, closing.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
        catch (Exception exception) when (exception is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // Gone already, or about to be.
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
            // Over.
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
                // What it would say further is not worth reading.
                if (Interlocked.Exchange(ref closed, 1) == 0)
                    await CloseAsync(SocketClose.BadRequest, "Messages are text of 512 KiB at most.");
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
                case MessageTypes.Subscribe when Text(message, "id") is { Length: > 0 and <= MaxIdLength } id && payload is { ValueKind: JsonValueKind.Object } request:
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
        chat = new SocketChatConnection(this, caller, metrics);
        if (!await entrance.EnterAsync(chat, closing.Token))
        {
            Close(SocketClose.Unauthorized, "The session is over.");
            return;
        }

        if (known.Until is { } until)
            CloseLater(TimeSpan.FromTicks(Math.Max(0, (until - time.GetUtcNow()).Ticks)), SocketClose.Forbidden, "The access token has expired: connect again.");
        await SendAsync(new OperationMessage { Type = MessageTypes.Ack });
    }

    private async Task SubscribeAsync(string id, JsonElement request)
    {
        if (owner is null || chat is null)
        {
            Close(SocketClose.Unauthorized, "Unauthorized");
            return;
        }

        var operation = new SocketOperation(id, chat, closing.Token);
        if (!operations.TryAdd(id, operation))
        {
            operation.Dispose();
            Close(SocketClose.SubscriberExists, "Subscriber for this id already exists");
            return;
        }

        try
        {
            if (operations.Count > options.MaxOperations)
                throw new ApiException(ErrorCode.RateLimited, $"{options.MaxOperations} operations may be under way on one socket.") { RetryAfterMs = 1000 };
            var prepared = executor.Prepare(reader.Read(request), owner.Info);
            if (prepared.Type == OperationType.Subscription)
                Track(FollowAsync(operation, prepared, owner.Info));
            else if (!calls.Writer.TryWrite((operation, prepared)))
                throw new ApiException(ErrorCode.RateLimited, "Too many operations wait on this socket.") { RetryAfterMs = 1000 };
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
        // An operation that ends like this is never answered: the client has to hear of it, and to come again.
        if (exception is not (WebSocketException or IOException))
            Failed(logger, exception);
        Abort();
    }

    private static string? Text(JsonElement message, string name) =>
        message.ValueKind == JsonValueKind.Object && message.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String ? member.GetString() : null;

    [LoggerMessage(7100, LogLevel.Error, "A GraphQL socket failed")]
    private static partial void Failed(ILogger logger, Exception exception);
}
