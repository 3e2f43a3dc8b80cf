using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text.Json;
using System.Threading.Channels;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>A plain client of graphql-transport-ws.</summary>
internal sealed class GraphQLTestSocket : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly ClientWebSocket socket = new();
    private readonly ConcurrentDictionary<string, Subscription> subscriptions = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim sending = new(1, 1);
    private Task receiving = Task.CompletedTask;
    private TaskCompletionSource reading = Done();
    private int ids;

    public TaskCompletionSource Acknowledged { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The server's close code; null when the connection broke.</summary>
    public TaskCompletionSource<int?> Closed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Channel<JsonElement> Others { get; } = Channel.CreateUnbounded<JsonElement>();

    /// <summary>Connected and acknowledged.</summary>
    public static async Task<GraphQLTestSocket> ConnectAsync(Uri server, string accessToken)
    {
        var connection = await OpenAsync(server);
        await connection.SendAsync(new { type = "connection_init", payload = new { accessToken } });
        await connection.Acknowledged.Task.WaitAsync(Patience);
        return connection;
    }

    public static async Task<GraphQLTestSocket> OpenAsync(
        Uri server, string? subprotocol = "graphql-transport-ws", Action<ClientWebSocketOptions>? configure = null)
    {
        var connection = new GraphQLTestSocket();
        if (subprotocol is not null)
            connection.socket.Options.AddSubProtocol(subprotocol);
        configure?.Invoke(connection.socket.Options);
        await connection.socket.ConnectAsync(new UriBuilder(server) { Scheme = "ws", Path = "/graphql" }.Uri, CancellationToken.None);
        connection.receiving = connection.ReceiveAsync();
        return connection;
    }

    public async Task<Subscription> SubscribeAsync(string query, object? variables = null, string? id = null)
    {
        var subscription = new Subscription(id ?? $"s{Interlocked.Increment(ref ids)}");
        subscriptions[subscription.Id] = subscription;
        await SendAsync(new { id = subscription.Id, type = "subscribe", payload = new { query, variables } });
        return subscription;
    }

    public Task SendAsync(object message) => SendTextAsync(JsonSerializer.Serialize(message));

    public async Task SendTextAsync(string text, WebSocketMessageType type = WebSocketMessageType.Text)
    {
        await sending.WaitAsync();
        try
        {
            await socket.SendAsync(System.Text.Encoding.UTF8.GetBytes(text), type, true, CancellationToken.None);
        }
        finally
        {
            sending.Release();
        }
    }

    /// <summary>Stops reading, as a client on a sleeping device does.</summary>
    public void Pause() => reading = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Resume() => reading.TrySetResult();

    public Task<int?> ClosedAsync() => Closed.Task.WaitAsync(Patience);

    public async ValueTask DisposeAsync()
    {
        Resume();
        socket.Abort();
        await receiving;
        socket.Dispose();
        sending.Dispose();
    }

    private async Task ReceiveAsync()
    {
        try
        {
            using var text = new MemoryStream();
            var buffer = new byte[64 * 1024];
            while (true)
            {
                await reading.Task;
                var received = await socket.ReceiveAsync(buffer.AsMemory(), CancellationToken.None);
                if (received.MessageType == WebSocketMessageType.Close)
                    break;
                text.Write(buffer.AsSpan(0, received.Count));
                if (!received.EndOfMessage)
                    continue;
                Handle(JsonSerializer.Deserialize<JsonElement>(text.GetBuffer().AsSpan(0, (int)text.Length)));
                text.SetLength(0);
            }

            Closed.TrySetResult((int?)socket.CloseStatus);
        }
        catch (Exception exception) when (exception is WebSocketException or OperationCanceledException or ObjectDisposedException)
        {
            Closed.TrySetResult(null);
        }

        foreach (var subscription in subscriptions.Values)
            subscription.End();
    }

    private static TaskCompletionSource Done()
    {
        var done = new TaskCompletionSource();
        done.SetResult();
        return done;
    }

    private void Handle(JsonElement message)
    {
        var type = message.GetProperty("type").GetString();
        if (type == "connection_ack")
            Acknowledged.TrySetResult();
        else if (message.TryGetProperty("id", out var id) && subscriptions.TryGetValue(id.GetString()!, out var subscription))
            subscription.Handle(type!, message);
        else
            Others.Writer.TryWrite(message);
    }

    internal sealed class Subscription(string id)
    {
        private readonly Channel<JsonElement> events = Channel.CreateUnbounded<JsonElement>();

        public string Id { get; } = id;

        /// <summary>The payload of an error message; cancelled when the operation ends without one.</summary>
        public TaskCompletionSource<JsonElement> Error { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Completed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task CompletedAsync() => Completed.Task.WaitAsync(Patience);

        public Task<JsonElement> ErrorAsync() => Error.Task.WaitAsync(Patience);

        /// <summary>The data of the next payload, which must have no errors.</summary>
        public async Task<JsonElement> NextAsync()
        {
            using var patience = new CancellationTokenSource(Patience);
            var payload = await events.Reader.ReadAsync(patience.Token);
            Assert.False(payload.TryGetProperty("errors", out var errors), errors.ToString());
            return payload.GetProperty("data");
        }

        public async Task<JsonElement> PayloadAsync()
        {
            using var patience = new CancellationTokenSource(Patience);
            return await events.Reader.ReadAsync(patience.Token);
        }

        /// <summary>Events until the condition holds, or the subscription ends.</summary>
        public async Task<List<JsonElement>> EntriesAsync(string field, Func<List<JsonElement>, bool> until)
        {
            using var patience = new CancellationTokenSource(Patience * 3);
            var entries = new List<JsonElement>();
            while (!until(entries) && await events.Reader.WaitToReadAsync(patience.Token))
            {
                while (events.Reader.TryRead(out var payload))
                {
                    Assert.False(payload.TryGetProperty("errors", out var errors), errors.ToString());
                    entries.AddRange(payload.GetProperty("data").GetProperty(field).GetProperty("entries").EnumerateArray());
                }
            }

            return entries;
        }

        public bool HasEvent => events.Reader.TryPeek(out _);

        public void Handle(string type, JsonElement message)
        {
            switch (type)
            {
                case "next":
                    events.Writer.TryWrite(message.GetProperty("payload"));
                    break;
                case "error":
                    Error.TrySetResult(message.GetProperty("payload"));
                    End();
                    break;
                case "complete":
                    Completed.TrySetResult();
                    End();
                    break;
            }
        }

        public void End() => events.Writer.TryComplete();
    }
}
