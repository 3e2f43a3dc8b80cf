using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Cluster;
using SecureMessaging.Server.Doors.Hub.Transport;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Doors.Hub;

/// <summary>The chat hub. Every method is one call of the same operation as in REST and GraphQL.</summary>
internal sealed class ChatHub(SendQueue queue, LogStore log, MessageOperations messages, Signals signals, TimeProvider time) : Hub<IChatClient>, IChatHub
{
    private const int MaxMalformedCalls = 20;

    /// <summary>The longest wait of a send for its sender to read.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    // A parameter of the constructor cannot be read through another reference, as the calls below do.
    private readonly SendQueue sends = queue;

    private HubWebSocket Socket => Context.Features.GetRequiredFeature<HubWebSocket>();

    private Caller Caller => Socket.Caller;

    public Task<SendAck> Send(SendRequest request) =>
        PacedAsync(request, static (hub, request) => hub.sends.SendAsync(hub.Socket.Caller, request, hub.Socket.Outgoing));

    public Task<SendResult[]> SendBatch(SendRequest[] requests) =>
        PacedAsync(requests, static (hub, requests) => hub.sends.SendBatchAsync(hub.Caller, requests));

    public Task<SendAck> Retract(Guid roomId, long seq) => messages.RetractAsync(Caller, roomId, seq, Context.ConnectionAborted);

    public Task<LogPage> Sync(Guid roomId, long afterSeq, int limit) =>
        log.SyncToLeavingAsync(Caller, roomId, afterSeq, limit, Context.ConnectionAborted);

    public Task<RoomHead[]> Heads() => log.HeadsAsync(Caller, Context.ConnectionAborted);

    public Task Signal(Guid roomId, byte[] signal) => signals.SendAsync(Caller, roomId, signal, Context.ConnectionAborted);

    public Task MarkDelivered(Guid roomId, long seq) => log.MarkDeliveredAsync(Caller, roomId, seq, Context.ConnectionAborted);

    /// <summary>
    /// Acks are faster than deliveries. Without pacing, a large room could send faster than its members read, until all must resync. A sender with unread
    /// deliveries waits. The hub is an argument of the call, because a closure would be allocated for each send.
    /// </summary>
    private Task<T> PacedAsync<TRequest, T>(TRequest request, Func<ChatHub, TRequest, Task<T>> send) =>
        Context.Features.Get<HubSubscriber>()?.CaughtUpAsync() is { IsCompleted: false } caughtUp
            ? SendLaterAsync(caughtUp, request, send)
            : send(this, request);

    private async Task<T> SendLaterAsync<TRequest, T>(Task caughtUp, TRequest request, Func<ChatHub, TRequest, Task<T>> send)
    {
        await caughtUp.WaitAsync(Patience, time, Context.ConnectionAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return await send(this, request);
    }

    /// <summary>The target of calls that <see cref="StrictHubProtocol"/> could not read. After 20 of them the connection is closed.</summary>
    public Task Malformed(FieldError[]? errors)
    {
        var count = Context.Items.TryGetValue(nameof(Malformed), out var earlier) ? (int)earlier! + 1 : 1;
        Context.Items[nameof(Malformed)] = count;
        if (count > MaxMalformedCalls)
            Context.Abort();
        throw errors is { Length: > 0 }
            ? ApiException.Invalid(errors)
            : ApiException.Invalid("The hub has no method with this name that takes these arguments. /llms.txt lists its methods.");
    }
}
