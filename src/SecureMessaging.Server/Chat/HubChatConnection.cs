using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// A client of the hub. Writes never wait: what a slow reader has not taken is bounded, past the bound entries are left out,
/// and once the reader has caught up it is told to <see cref="IChatClient.Resync"/>.
/// </summary>
internal sealed class HubChatConnection(HubConnectionContext context, Caller caller, ServerMetrics metrics)
    : ChatConnection(caller.UserId, caller.SessionId)
{
    /// <summary>Messages, and their bytes, that may wait for a slow reader.</summary>
    private const int MaxPending = 2048;
    private const int MaxPendingBytes = 1024 * 1024;

    /// <summary>What part of that waits for a reader who had better read before it sends.</summary>
    private const int Behind = 8;

    private readonly Lock gate = new();
    private HashSet<Guid>? missed;
    private TaskCompletionSource? caughtUp;
    private int pending;
    private int pendingBytes;

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
            missed = [];
        context.Abort();
    }

    public override void Drain(TimeSpan after) => SendEphemeral(new Ephemeral(HubMessages.Create(nameof(IChatClient.Draining), (int)after.TotalMilliseconds)));

    public override void SendEntries(EntryRun run)
    {
        lock (gate)
        {
            if (missed is not null || IsFull)
            {
                (missed ??= []).Add(run.RoomId);
                return;
            }

            Write(run.Message, run.Bytes);
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
                Write(HubMessages.Create(nameof(IChatClient.RoomChanged), roomId, change), 0);
        }
    }

    public override void SendEphemeral(Ephemeral ephemeral)
    {
        lock (gate)
        {
            if (!IsFull)
                Write(ephemeral.Message, 0);
        }
    }

    private bool IsBehind => pending >= MaxPending / Behind || pendingBytes >= MaxPendingBytes / Behind;

    private bool IsFull => pending >= MaxPending || pendingBytes >= MaxPendingBytes;

    private void Write(SerializedHubMessage message, int bytes)
    {
        var write = context.WriteAsync(message, CancellationToken.None);
        if (write.IsCompletedSuccessfully)
            return;
        pending++;
        pendingBytes += bytes;
        _ = AwaitAsync(write, bytes);
    }

    private async Task AwaitAsync(ValueTask write, int bytes)
    {
        try
        {
            await write;
        }
        catch (Exception)
        {
            // The connection is gone, and with it the reader; or this message cannot be written, and the reader would have a gap.
            context.Abort();
        }

        lock (gate)
        {
            pendingBytes -= bytes;
            pending--;
            if (!IsBehind)
            {
                caughtUp?.SetResult();
                caughtUp = null;
            }

            if (pending > 0 || missed is null)
                return;
            var resync = missed;
            missed = null;
            metrics.Resynced();
            foreach (var roomId in resync)
                Write(HubMessages.Create(nameof(IChatClient.Resync), roomId), 0);
        }
    }
}
