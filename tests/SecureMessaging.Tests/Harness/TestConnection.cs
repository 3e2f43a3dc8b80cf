using System.Text.Json;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Harness;

/// <summary>A bare SignalR connection that records the hub's pushes.</summary>
public sealed class TestConnection : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly List<(Guid RoomId, LogEntry Entry)> entries = [];
    private readonly List<(string Method, object?[] Arguments)> pushes = [];
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TestConnection(Uri url, Func<string?> accessToken, bool messagePack = false)
    {
        var builder = new HubConnectionBuilder().WithUrl(new Uri(url, Wire.HubPath), options =>
        {
            options.SkipNegotiation = true;
            options.Transports = HttpTransportType.WebSockets;
            options.AccessTokenProvider = () => Task.FromResult(accessToken());
        });
        if (messagePack)
            builder.AddMessagePackProtocol(options => options.SerializerOptions = WireMessagePack.Options);
        else
            builder.AddJsonProtocol(options => Wire.Configure(options.PayloadSerializerOptions));
        Hub = builder.Build();
        Hub.On<Guid, LogEntry[]>(nameof(IChatClient.Received), (roomId, received) =>
        {
            lock (entries)
                entries.AddRange(received.Select(entry => (roomId, entry)));
            Record(nameof(IChatClient.Received), roomId, received);
        });
        Hub.On<Guid, byte[]>(nameof(IChatClient.Signaled), (roomId, signal) => Record(nameof(IChatClient.Signaled), roomId, signal));
        Hub.On<Guid, RoomChange>(nameof(IChatClient.RoomChanged), (roomId, change) => Record(nameof(IChatClient.RoomChanged), roomId, change));
        Hub.On<Guid>(nameof(IChatClient.Resync), roomId => Record(nameof(IChatClient.Resync), roomId));
        Hub.On<SessionEndReason>(nameof(IChatClient.SessionEnded), reason => Record(nameof(IChatClient.SessionEnded), reason));
        Hub.On<Guid, int>(nameof(IChatClient.KeyPackagesLow), (deviceId, available) => Record(nameof(IChatClient.KeyPackagesLow), deviceId, available));
        Hub.On<Guid>(nameof(IChatClient.WelcomesWaiting), deviceId => Record(nameof(IChatClient.WelcomesWaiting), deviceId));
        Hub.On<int>(nameof(IChatClient.Draining), delay => Record(nameof(IChatClient.Draining), delay));
        Hub.Closed += exception =>
        {
            Closed.TrySetResult(exception);
            return Task.CompletedTask;
        };
    }

    public HubConnection Hub { get; }

    /// <summary>Completes when the connection is closed, with the reason if there is one.</summary>
    public TaskCompletionSource<Exception?> Closed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The entries pushed so far for one room, in the order of arrival.</summary>
    public LogEntry[] Received(Guid roomId)
    {
        lock (entries)
            return [.. entries.Where(e => e.RoomId == roomId).Select(e => e.Entry)];
    }

    /// <summary>All pushes of one method so far, with their arguments.</summary>
    public object?[][] Pushes(string method)
    {
        lock (pushes)
            return [.. pushes.Where(p => p.Method == method).Select(p => p.Arguments)];
    }

    public Task<SendAck> SendAsync(SendRequest request) => CallAsync(Hub.InvokeAsync<SendAck>(nameof(IChatHub.Send), request));

    public Task<SendAck> SendAsync(Guid roomId, byte[] ciphertext) => SendAsync(new SendRequest(roomId, Guid.NewGuid(), ciphertext));

    public Task<SendResult[]> SendBatchAsync(params SendRequest[] requests) => CallAsync(Hub.InvokeAsync<SendResult[]>(nameof(IChatHub.SendBatch), requests));

    public Task<SendAck> RetractAsync(Guid roomId, long seq) => CallAsync(Hub.InvokeAsync<SendAck>(nameof(IChatHub.Retract), roomId, seq));

    public Task<LogPage> SyncAsync(Guid roomId, long afterSeq = 0, int limit = 500) =>
        CallAsync(Hub.InvokeAsync<LogPage>(nameof(IChatHub.Sync), roomId, afterSeq, limit));

    public Task<RoomHead[]> HeadsAsync() => CallAsync(Hub.InvokeAsync<RoomHead[]>(nameof(IChatHub.Heads)));

    public Task SignalAsync(Guid roomId, byte[] signal) => CallAsync(Hub.InvokeAsync(nameof(IChatHub.Signal), roomId, signal));

    public Task MarkDeliveredAsync(Guid roomId, long seq) => CallAsync(Hub.InvokeAsync(nameof(IChatHub.MarkDelivered), roomId, seq));

    /// <summary>Waits until the pushed entries of a room satisfy the condition, and returns them.</summary>
    public async Task<LogEntry[]> WaitAsync(Guid roomId, Func<LogEntry[], bool> until)
    {
        await WaitAsync(() => until(Received(roomId)), () => $"{Received(roomId).Length} entries came");
        return Received(roomId);
    }

    /// <summary>Waits for the first push of a method, and returns its arguments.</summary>
    public async Task<object?[]> WaitAsync(string method)
    {
        await WaitAsync(() => Pushes(method).Length > 0, () => $"no {method} came");
        return Pushes(method)[0];
    }

    public ValueTask DisposeAsync() => Hub.DisposeAsync();

    private static async Task<T> CallAsync<T>(Task<T> call)
    {
        await CallAsync((Task)call);
        return await call;
    }

    private static async Task CallAsync(Task call)
    {
        try
        {
            await call.WaitAsync(Patience);
        }
        catch (HubException exception)
        {
            throw HubError.From(exception);
        }
    }

    private async Task WaitAsync(Func<bool> until, Func<string> state)
    {
        using var timeout = new CancellationTokenSource(Patience);
        while (true)
        {
            Task next;
            lock (pushes)
                next = changed.Task;
            if (until())
                return;
            if (await Task.WhenAny(next, Task.Delay(Timeout.Infinite, timeout.Token)) != next)
                Assert.Fail($"Waited {Patience.TotalSeconds} s: {state()}.");
        }
    }

    private void Record(string method, params object?[] arguments)
    {
        lock (pushes)
        {
            pushes.Add((method, arguments));
            changed.TrySetResult();
            changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}

/// <summary>A hub error, as in the contract.</summary>
public sealed class HubError(ErrorBody body) : Exception($"{body.Code}: {body.Message}")
{
    public ErrorBody Body { get; } = body;

    /// <summary>SignalR adds a sentence before the text of a HubException; the contract's JSON starts at the first brace.</summary>
    public static Exception From(HubException exception)
    {
        var start = exception.Message.IndexOf('{', StringComparison.Ordinal);
        return start >= 0 && JsonSerializer.Deserialize<ErrorBody>(exception.Message.AsSpan(start), Wire.Json) is { } body ? new HubError(body) : exception;
    }
}
