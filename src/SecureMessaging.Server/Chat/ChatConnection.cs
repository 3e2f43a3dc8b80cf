using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// One client's connection as the tails see it. Writes never wait: what a slow reader has not taken is bounded, past the bound entries are left out,
/// and once the reader has caught up it is told to <see cref="IChatClient.Resync"/>.
/// </summary>
internal sealed class ChatConnection(HubConnectionContext context, Guid userId, Guid sessionId, ServerMetrics metrics, TimeProvider time)
{
    /// <summary>Messages, and their bytes, that may wait for a slow reader.</summary>
    private const int MaxPending = 64;
    private const int MaxPendingBytes = 1024 * 1024;

    /// <summary>A reader that takes nothing for this long is cut off; it will come back and sync.</summary>
    private static readonly TimeSpan MaxStall = TimeSpan.FromSeconds(30);

    private readonly Lock gate = new();
    private readonly List<Guid> rooms = [];
    private HashSet<Guid>? missed;
    private int pending;
    private int pendingBytes;
    private long stalledSince;
    private bool settled;
    private bool closed;

    public Guid UserId { get; } = userId;

    public Guid SessionId { get; } = sessionId;

    public void Abort() => context.Abort();

    /// <summary>Says why and closes, without waiting for a reader that may not read.</summary>
    public void End(SerializedHubMessage farewell)
    {
        SendEphemeral(farewell);
        lock (gate)
            missed = [];
        context.Abort();
    }

    /// <summary>Notes that a tail delivers to this connection; false when it is closed already.</summary>
    public bool TryEnter(Guid roomId)
    {
        lock (gate)
        {
            if (closed)
                return false;
            rooms.Add(roomId);
            return true;
        }
    }

    /// <summary>Notes that the connection is subscribed to all rooms that its user had at connect.</summary>
    public void Settle()
    {
        lock (gate)
            settled = true;
    }

    /// <summary>
    /// Whether a tail should deliver this room to the connection and does not. Not while it is being let in, when it would be given the whole log since its
    /// user joined, and not when it is closed.
    /// </summary>
    public bool Lacks(Guid roomId)
    {
        lock (gate)
            return settled && !closed && !rooms.Contains(roomId);
    }

    public void Leave(Guid roomId)
    {
        lock (gate)
        {
            rooms.Remove(roomId);
        }
    }

    /// <summary>Returns the rooms whose tails still deliver to the connection.</summary>
    public Guid[] Close()
    {
        lock (gate)
        {
            closed = true;
            return [.. rooms];
        }
    }

    /// <summary>Sends entries of a room, or leaves them out when the reader is too slow.</summary>
    public void SendEntries(Guid roomId, SerializedHubMessage message, int bytes)
    {
        lock (gate)
        {
            if (missed is not null || IsFull)
            {
                (missed ??= []).Add(roomId);
                if (time.GetElapsedTime(stalledSince) > MaxStall)
                    context.Abort();
                return;
            }

            Write(message, bytes);
        }
    }

    /// <summary>Sends a change of the set of rooms. A reader that is too slow finds out when it is told to resync.</summary>
    public void SendRoomChanged(Guid roomId, RoomChange change)
    {
        lock (gate)
        {
            if (missed is not null || IsFull)
                (missed ??= []).Add(roomId);
            else
                Write(HubMessages.Create(nameof(IChatClient.RoomChanged), roomId, change), 0);
        }
    }

    /// <summary>Sends what is not part of a log. A reader that is too slow misses it.</summary>
    public void SendEphemeral(SerializedHubMessage message)
    {
        lock (gate)
        {
            if (!IsFull)
                Write(message, 0);
        }
    }

    private bool IsFull => pending >= MaxPending || pendingBytes >= MaxPendingBytes;

    private void Write(SerializedHubMessage message, int bytes)
    {
        var write = context.WriteAsync(message, CancellationToken.None);
        if (write.IsCompletedSuccessfully)
            return;
        if (pending++ == 0)
            stalledSince = time.GetTimestamp();
        pendingBytes += bytes;
        _ = AwaitAsync(write, bytes);
    }

    private async Task AwaitAsync(ValueTask write, int bytes)
    {
        try
        {
            await write;
        }
        catch (Exception) when (context.ConnectionAborted.IsCancellationRequested)
        {
            // The connection is gone, and with it the reader.
        }

        lock (gate)
        {
            stalledSince = time.GetTimestamp();
            pendingBytes -= bytes;
            if (--pending > 0 || missed is null)
                return;
            var resync = missed;
            missed = null;
            metrics.Resynced();
            foreach (var roomId in resync)
                Write(HubMessages.Create(nameof(IChatClient.Resync), roomId), 0);
        }
    }
}
