using System.Net.WebSockets;
using GraphQL;
using GraphQL.Transport;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed partial class GraphQLSocket
{
    /// <summary>As on the hub: a rejection over a rate limit is delayed, and later operations wait for it.</summary>
    private static readonly TimeSpan RefusalDelay = TimeSpan.FromMilliseconds(50);

    /// <summary>Runs queries and mutations in the order of arrival, so that a client's sends keep their order.</summary>
    private async Task CallAsync()
    {
        await foreach (var (operation, prepared) in calls.Reader.ReadAllAsync(CancellationToken.None))
        {
            if (operation.Stopping.IsCancellationRequested)
                operation.Dispose();
            else
                await CallAsync(operation, prepared, owner!.Info);
        }
    }

    private async Task CallAsync(SocketOperation operation, PreparedOperation prepared, GraphQLRequestInfo info)
    {
        try
        {
            await EndAsync(operation, await executor.ExecuteAsync(prepared, info with { Live = operation }, operation.Stopping));
        }
        catch (Exception exception)
        {
            await EndAsync(operation, exception);
        }
    }

    private async Task FollowAsync(SocketOperation operation, PreparedOperation prepared, GraphQLRequestInfo info)
    {
        try
        {
            var result = await executor.ExecuteAsync(prepared, info with { Live = operation }, operation.Stopping);
            if (result.Streams is not { Count: 1 } streams)
            {
                // The executer reports a subscription that failed to start as executed.
                result.Executed = false;
                await EndAsync(operation, result);
                return;
            }

            await foreach (var next in operation.ReadAsync(streams.Values.Single()))
                await SendAsync(new OperationMessage { Id = operation.Id, Type = MessageTypes.Next, Payload = next });
            await EndAsync(operation, result: null);
        }
        catch (Exception exception)
        {
            await EndAsync(operation, exception);
        }
    }

    private async Task EndAsync(SocketOperation operation, Exception exception)
    {
        if (operation.Stopping.IsCancellationRequested)
        {
            Forget(operation);
            return;
        }

        if (exception is ApiException { Code: ErrorCode.RateLimited })
            await Task.Delay(RefusalDelay, time, closing.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        // The executer has logged exceptions of resolvers. Its own errors are results.
        if (exception is not (ApiException or ExecutionError or WebSocketException or OperationCanceledException))
            Failed(logger, exception);
        await EndAsync(operation, new ExecutionResult(exception as ExecutionError ?? new ExecutionError("", exception)));
    }

    /// <summary>Writes the result of an executed operation, or the error of another. Writes nothing after the client has completed the operation.</summary>
    private async Task EndAsync(SocketOperation operation, ExecutionResult? result)
    {
        var wanted = Forget(operation);
        if (!wanted)
            return;
        try
        {
            if (result is { Executed: false, Errors: { Count: > 0 } errors })
            {
                await SendAsync(new OperationMessage { Id = operation.Id, Type = MessageTypes.Error, Payload = errors.ToArray() });
                return;
            }

            if (result is not null)
                await SendAsync(new OperationMessage { Id = operation.Id, Type = MessageTypes.Next, Payload = result });
            await SendAsync(new OperationMessage { Id = operation.Id, Type = MessageTypes.Complete });
        }
        catch (Exception exception) when (exception is WebSocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The connection has ended.
        }
    }

    /// <summary>True: the client still waits for the operation. Its id can be used again.</summary>
    private bool Forget(SocketOperation operation)
    {
        var wanted = !operation.Stopping.IsCancellationRequested && operations.TryRemove(KeyValuePair.Create(operation.Id, operation));
        operations.TryRemove(KeyValuePair.Create(operation.Id, operation));
        operation.Dispose();
        return wanted;
    }

    private async Task SendAsync(OperationMessage message)
    {
        using var text = new MemoryStream();
        await serializer.WriteAsync(text, message, CancellationToken.None);
        await sending.WaitAsync(closing.Token);
        try
        {
            if (Volatile.Read(ref closed) == 0)
            {
                await webSocket.SendAsync(text.GetBuffer().AsMemory(0, (int)text.Length), WebSocketMessageType.Text, endOfMessage: true, closing.Token)
                    .AsTask().WaitAsync(MaxStall, time, closing.Token);
            }
        }
        catch (TimeoutException)
        {
            AbortSlow();
        }
        finally
        {
            sending.Release();
        }
    }

    private static class MessageTypes
    {
        public const string Init = "connection_init";
        public const string Ack = "connection_ack";
        public const string Ping = "ping";
        public const string Pong = "pong";
        public const string Subscribe = "subscribe";
        public const string Next = "next";
        public const string Error = "error";
        public const string Complete = "complete";
    }
}
