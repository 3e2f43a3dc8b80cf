using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>The real-time door. Every method is one call on what REST calls too.</summary>
internal sealed class ChatHub(LogWriter logWriter, LogStore log, Signals signals) : Hub<IChatClient>, IChatHub
{
    private readonly LogWriter writer = logWriter;

    private const int MaxMalformedCalls = 20;

    /// <summary>So long a send waits for its sender to read.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private Caller Caller => Context.Features.GetRequiredFeature<HubSocket>().Caller;

    public Task<SendAck> Send(SendRequest request) => PacedAsync(request, static (hub, request) => hub.writer.SendAsync(hub.Caller, request, writesOnly: true));

    public Task<SendResult[]> SendBatch(SendRequest[] requests) => PacedAsync(requests, static (hub, requests) => hub.writer.SendBatchAsync(hub.Caller, requests));

    public Task<SendAck> Retract(Guid roomId, long seq) => log.RetractAsync(Caller, roomId, seq, Context.ConnectionAborted);

    public Task<LogPage> Sync(Guid roomId, long afterSeq, int limit) => log.SyncAsync(Caller, roomId, afterSeq, limit, Context.ConnectionAborted);

    public Task<RoomHead[]> Heads() => log.HeadsAsync(Caller, Context.ConnectionAborted);

    public Task Signal(Guid roomId, byte[] signal) => signals.SendAsync(Caller, roomId, signal, Context.ConnectionAborted);

    public Task MarkDelivered(Guid roomId, long seq) => log.MarkDeliveredAsync(Caller, roomId, seq, Context.ConnectionAborted);

    /// <summary>
    /// Acks outrun deliveries, so a large room could send faster than anybody reads, until all have to resync. Whoever is behind with reading sends more slowly.
    /// The hub is an argument of what is called, because a closure would be allocated for each send.
    /// </summary>
    private Task<T> PacedAsync<TRequest, T>(TRequest request, Func<ChatHub, TRequest, Task<T>> send) =>
        Context.Features.Get<HubChatConnection>()?.CaughtUpAsync() is { IsCompleted: false } caughtUp ? SendLaterAsync(caughtUp, request, send) : send(this, request);

    private async Task<T> SendLaterAsync<TRequest, T>(Task caughtUp, TRequest request, Func<ChatHub, TRequest, Task<T>> send)
    {
        await caughtUp.WaitAsync(Patience, Context.ConnectionAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return await send(this, request);
    }

    /// <summary>Where <see cref="StrictHubProtocol"/> sends calls that could not be read. Past a bound of them the connection is closed.</summary>
    public Task Malformed(FieldError[]? errors)
    {
        var count = Context.Items.TryGetValue(nameof(Malformed), out var earlier) ? (int)earlier! + 1 : 1;
        Context.Items[nameof(Malformed)] = count;
        if (count > MaxMalformedCalls)
            Context.Abort();
        throw errors is { Length: > 0 }
            ? new ApiException(ErrorCode.Invalid, string.Join(' ', errors.Select(error => error.Detail))) { Errors = errors }
            : ApiException.Invalid("The hub has no method with this name that takes these arguments. /llms.txt lists its methods.");
    }
}
