using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// A client of the hub. Writes never wait: what a slow reader has not taken is bounded, past the bound entries are left out,
/// and once the reader has caught up it is told to <see cref="IChatClient.Resync"/>.
/// </summary>
internal sealed partial class HubChatConnection : ChatConnection
{
    /// <summary>Messages, and their bytes, that may wait for a slow reader.</summary>
    private const int MaxPending = 2048;
    private const int MaxPendingBytes = 1024 * 1024;

    /// <summary>What part of that waits for a reader who had better read before it sends.</summary>
    private const int Behind = 8;

    private readonly Lock gate = new();
    private readonly HubConnectionContext context;
    private readonly HubSocketWriter outgoing;
    private readonly ServerMetrics metrics;
    private readonly ILogger logger;
    private HashSet<Guid>? missed;
    private TaskCompletionSource? caughtUp;
    private bool ended;

    public HubChatConnection(HubConnectionContext context, HubSocket socket, ServerMetrics metrics, ILogger logger)
        : base(socket.Caller.UserId, socket.Caller.SessionId)
    {
        (this.context, this.metrics, this.logger, outgoing) = (context, metrics, logger, socket.Outgoing);
        outgoing.Taken = Taken;
    }

    /// <summary>Completes when the client has taken most of what it was sent, or is gone.</summary>
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

    public override void End(SerializedHubMessage farewell)
    {
        SendEphemeral(new Ephemeral(farewell));
        lock (gate)
            ended = true;
        context.Abort();
    }

    public override void Drain(TimeSpan after) => SendEphemeral(new Ephemeral(HubMessages.Create(nameof(IChatClient.Draining), (int)after.TotalMilliseconds)));

    public override void SendEntries(EntryRun run)
    {
        lock (gate)
        {
            if (missed is not null || IsFull)
                (missed ??= []).Add(run.RoomId);
            else
                Write(run.Message);
        }
    }

    /// <summary>A reader that is too slow finds out when it is told to resync.</summary>
    public override void SendRoomChanged(Guid roomId, RoomChange change)
    {
        lock (gate)
        {
            if (missed is not null || IsFull)
                (missed ??= []).Add(roomId);
            else
                Write(HubMessages.Create(nameof(IChatClient.RoomChanged), roomId, change));
        }
    }

    public override void SendEphemeral(Ephemeral ephemeral)
    {
        lock (gate)
        {
            if (!IsFull)
                Write(ephemeral.Message);
        }
    }

    private bool IsBehind => Waits(MaxPending / Behind, MaxPendingBytes / Behind);

    private bool IsFull => Waits(MaxPending, MaxPendingBytes);

    private bool Waits(int frames, int bytes) => outgoing.Waiting is var waiting && (waiting.Frames >= frames || waiting.Bytes >= bytes);

    private void Write(SerializedHubMessage message)
    {
        if (ended)
            return;
        try
        {
            outgoing.Send(message.GetSerializedMessage(context.Protocol));
        }
        catch (Exception exception)
        {
            // This message cannot be written, and the reader would have a gap.
            metrics.HubFailed("message");
            MessageFailed(logger, exception);
            context.Abort();
        }
    }

    [LoggerMessage(4413, LogLevel.Error, "A message to a client of the hub cannot be written; the connection ends")]
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
