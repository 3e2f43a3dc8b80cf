using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Doors.Hub.Transport;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Doors.Hub;

/// <summary>
/// A hub client. Writes never wait: beyond a bound of unread messages, entries are dropped, and the client gets <see cref="IChatClient.Resync"/> once
/// it has read the rest.
/// </summary>
internal sealed partial class HubSubscriber : Subscriber
{
    private const int MaxPending = 2048;
    private const int MaxPendingBytes = 1024 * 1024;

    /// <summary>At one eighth of these bounds, the client must read before it sends more.</summary>
    private const int Behind = 8;

    private readonly Lock gate = new();
    private readonly HubConnectionContext context;
    private readonly HubFrameWriter outgoing;
    private readonly ServerMetrics metrics;
    private readonly ILogger logger;
    private HashSet<Guid>? missed;
    private TaskCompletionSource? caughtUp;
    private bool isEnded;

    public HubSubscriber(HubConnectionContext context, HubWebSocket socket, ServerMetrics metrics, ILogger logger)
        : base(socket.Caller.UserId, socket.Caller.SessionId)
    {
        (this.context, this.metrics, this.logger, outgoing) = (context, metrics, logger, socket.Outgoing);
        outgoing.Taken = Taken;
    }

    public Task CaughtUpAsync()
    {
        lock (gate)
        {
            return !IsBehind
                ? Task.CompletedTask
                : (caughtUp ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    public override void Abort() => context.Abort();

    public override void End(SessionEnded ended)
    {
        SendEphemeral(ended);
        lock (gate)
            isEnded = true;
        context.Abort();
    }

    public override void Drain(TimeSpan after)
    {
        lock (gate)
        {
            if (!IsFull)
                Write(HubMessages.Create(nameof(IChatClient.Draining), (int)after.TotalMilliseconds));
        }
    }

    public override void SendEntries(EntryRun run, WriteBatch? writes)
    {
        lock (gate)
        {
            if (missed is not null || IsFull)
                (missed ??= []).Add(run.RoomId);
            else
                Write(HubMessages.Of(run), writes);
        }
    }

    /// <summary>A client that is too slow learns of the change through its Resync.</summary>
    public override void SendRoomChanged(Guid roomId, RoomChange change, long seq, WriteBatch? writes)
    {
        lock (gate)
        {
            if (missed is not null || IsFull)
                (missed ??= []).Add(roomId);
            else
                Write(HubMessages.Create(nameof(IChatClient.RoomChanged), roomId, change), writes);
        }
    }

    public override void SendEphemeral(DeliveryEvent ephemeral)
    {
        lock (gate)
        {
            if (!IsFull)
                Write(HubMessages.Of(ephemeral));
        }
    }

    private bool IsBehind => Waits(MaxPending / Behind, MaxPendingBytes / Behind);

    private bool IsFull => Waits(MaxPending, MaxPendingBytes);

    private bool Waits(int frames, int bytes) => outgoing.Waiting is var waiting && (waiting.Frames >= frames || waiting.Bytes >= bytes);

    private void Write(SerializedHubMessage message, WriteBatch? writes = null)
    {
        if (isEnded)
            return;
        try
        {
            outgoing.Send(message.GetSerializedMessage(context.Protocol), writes);
        }
        catch (Exception exception)
        {
            metrics.HubFailed("message");
            MessageFailed(logger, exception);
            context.Abort();
        }
    }

    [LoggerMessage(4413, LogLevel.Error, "A message to a hub client cannot be encoded; its connection is closed")]
    private static partial void MessageFailed(ILogger logger, Exception exception);

    private void Taken()
    {
        lock (gate)
        {
            if (!IsBehind)
            {
                caughtUp?.SetResult();
                caughtUp = null;
            }

            if (missed is null || outgoing.Waiting.Frames > 0)
                return;
            var resync = missed;
            missed = null;
            metrics.Resynced();
            foreach (var roomId in resync)
                Write(HubMessages.Create(nameof(IChatClient.Resync), roomId));
        }
    }
}
