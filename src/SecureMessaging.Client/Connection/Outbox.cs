using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// Sends queued messages until each one has ended with an ack or a definite failure. A retry has the same id and bytes, and the server answers it with
/// the first ack.
/// </summary>
/// <remarks>
/// Order: one batch is in flight at a time, with the oldest pending sends. This relies on the contract of <see cref="IChatHub.SendBatch"/>: after a
/// retryable failure of an item, all later items of the same room have failed too. So this item and all after it stay and are sent again in order.
/// Items of other rooms that were stored are answered as duplicates. A server that stored a later item of the same room would swap the two for good.
/// </remarks>
internal sealed partial class Outbox(ClientStore store, HubLink link, ClientOptions options, Warnings warnings, ILogger logger)
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource<SendReceipt>> waiters = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (Backoff Backoff, DateTimeOffset Until)> resting = new(StringComparer.Ordinal);
    private readonly Wakeup work = new(options.TimeProvider);
    private readonly Lock order = new();
    private int alone;

    /// <summary>The server rejected a send for good.</summary>
    public event Action<SendFailure>? Failed;

    public int Count => store.CountOutbox();

    /// <summary>Writes a message to disk. Messages are sent in the order of the calls.</summary>
    public Guid Enqueue(Guid roomId, Func<Guid, byte[]> seal, TimeSpan? timeToLive, TaskCompletionSource<SendReceipt>? waiter)
    {
        var id = Guid.NewGuid();
        lock (order)
        {
            var item = new OutboxItem
            {
                RoomId = roomId.ToString("D"),
                ClientMessageId = id.ToString("D"),
                Ciphertext = seal(id),
                Ttl = timeToLive is { } life ? (long)Math.Ceiling(life.TotalSeconds) : null,
            };
            if (item.Ciphertext.Length > Limits.Default.CiphertextBytes)
                throw new SecureMessagingException(new ErrorBody(ErrorCode.TooLarge, "The sealed message is too large.", false));
            if (waiter is not null)
                waiters[item.ClientMessageId] = waiter;
            try
            {
                if (!store.TryEnqueue(item, options.OutboxCapacity))
                    throw new SecureMessagingException(new ErrorBody(ErrorCode.Overloaded, "The outbox is full.", true));
            }
            catch
            {
                waiters.TryRemove(item.ClientMessageId, out _);
                throw;
            }
        }
        work.Set();
        return id;
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var backoff = new Backoff(options);
        while (true)
        {
            TimeSpan? wait;
            try
            {
                var batch = TakeBatch(out var restUntil);
                if (batch.Count == 0)
                {
                    await work.WaitAsync(restUntil, cancellationToken);
                    continue;
                }
                wait = await SendAsync(batch, cancellationToken);
                if (wait is null)
                {
                    backoff.Reset();
                    continue;
                }
            }
            catch (SecureMessagingException e)
            {
                warnings.Raise(ClientWarningKind.Sending, $"Sending failed and is retried: {e.Message}", e);
                wait = e.RetryAfter;
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                // For example a full disk. An acked message that could not be removed is sent and acked again.
                SendingBroke(logger, e);
                warnings.Raise(ClientWarningKind.Sending, $"Sending failed and is retried: {e.Message}", e);
                wait = null;
            }
            await backoff.DelayAsync(wait, cancellationToken);
        }
    }

    /// <summary>Ends sending: all waiting calls fail, and queued messages stay on disk.</summary>
    public void GiveUp(Exception reason)
    {
        foreach (var id in waiters.Keys)
        {
            if (waiters.TryRemove(id, out var waiter))
                waiter.TrySetException(reason);
        }
    }

    /// <summary>The end of the session does not reject a send: the next session of the account sends it.</summary>
    private static bool IsDefinite(ErrorBody? error) => error is { Retryable: false, Code: not ErrorCode.Unauthenticated };

    private static SendRequest ToRequest(OutboxItem item) =>
        new(Guid.Parse(item.RoomId), Guid.Parse(item.ClientMessageId), item.Ciphertext, (int?)item.Ttl);

    /// <summary>Whether the answer belongs to the batch. Otherwise the outcome of each send is unknown.</summary>
    private static bool Fits(List<OutboxItem> batch, SendResult[] results)
    {
        if (results.Length != batch.Count)
            return false;
        for (var i = 0; i < results.Length; i++)
        {
            if (results[i] is not { } result || (result.Ack is { } ack && ack.ClientMessageId != Guid.Parse(batch[i].ClientMessageId)))
                return false;
        }
        return true;
    }

    /// <summary>The oldest sends, without those of rooms that wait after a failure.</summary>
    private List<OutboxItem> TakeBatch(out TimeSpan restUntil)
    {
        var now = options.TimeProvider.GetUtcNow();
        var waits = resting.Where(room => room.Value.Until > now).ToDictionary(room => room.Key, room => room.Value.Until - now, StringComparer.Ordinal);
        restUntil = waits.Values.Append(options.HeadCheckInterval).Min();
        return store.ReadOldest(waits.Keys, alone > 0 ? 1 : Limits.Default.BatchSends, Limits.Default.BatchBytes);
    }

    /// <summary>Sends a batch and handles the results. Returns how long the whole outbox must wait, if it must.</summary>
    private async Task<TimeSpan?> SendAsync(List<OutboxItem> batch, CancellationToken cancellationToken)
    {
        SendResult[] results;
        try
        {
            results = await link.InvokeAsync<SendResult[]>(
                nameof(IChatHub.SendBatch), [batch.Select(ToRequest).ToArray()], all => Fits(batch, all), cancellationToken);
        }
        catch (SecureMessagingException e) when (IsDefinite(e.Error) || e.ErrorCode == ErrorCode.Internal)
        {
            // The server rejected the whole batch or failed: send one by one, to find the cause. A send that makes the server fail then blocks only its
            // own room.
            if (batch.Count > 1)
            {
                alone = batch.Count;
                return null;
            }
            results = [new(null, e.Error)];
        }
        alone = Math.Max(0, alone - 1);
        return Settle(batch, results);
    }

    /// <summary>Handles the results up to the first send that must be repeated. The remarks on order explain the rest.</summary>
    private TimeSpan? Settle(List<OutboxItem> batch, SendResult[] results)
    {
        var kept = Array.FindIndex(results, result => result.Ack is null && !IsDefinite(result.Error));
        var over = kept < 0 ? batch.Count : kept;
        if (over > 0)
            store.RemoveFromOutbox(batch.Take(over).Select(item => item.Position));
        // After the removal: a caller that gets an ack can rely on the end of the send.
        for (var i = 0; i < over; i++)
            Tell(batch[i], results[i]);
        return kept < 0 ? null : Rest(batch[kept].RoomId, results[kept].Error);
    }

    /// <summary>Makes a room wait. Overload and rate limits concern all rooms, so then the whole outbox waits.</summary>
    private TimeSpan? Rest(string roomId, ErrorBody? error)
    {
        var backoff = resting.TryGetValue(roomId, out var earlier) ? earlier.Backoff : new Backoff(options);
        TimeSpan? asked = error?.RetryAfterMs is { } delay ? TimeSpan.FromMilliseconds(delay) : null;
        warnings.Raise(ClientWarningKind.Sending, $"The room's messages wait: {error?.Message ?? "the server's answer is incomplete"}",
            roomId: Guid.Parse(roomId));
        resting[roomId] = (backoff, options.TimeProvider.GetUtcNow() + backoff.Next(asked));
        return error?.Code is ErrorCode.Overloaded or ErrorCode.RateLimited or ErrorCode.Unavailable ? asked ?? TimeSpan.Zero : null;
    }

    private void Tell(OutboxItem item, SendResult result)
    {
        resting.Remove(item.RoomId);
        waiters.TryRemove(item.ClientMessageId, out var waiter);
        if (result.Ack is { } ack)
        {
            waiter?.TrySetResult(new(ack.RoomId, ack.ClientMessageId, ack.Seq, ack.CreatedAt));
            return;
        }
        var error = new SecureMessagingException(result.Error!);
        SendRefused(logger, item.ClientMessageId, error.ErrorCode);
        waiter?.TrySetException(error);
        Failed?.Invoke(new(Guid.Parse(item.RoomId), Guid.Parse(item.ClientMessageId), error));
    }

    [LoggerMessage(7008, LogLevel.Error, "Sending failed and is retried")]
    private static partial void SendingBroke(ILogger logger, Exception exception);

    [LoggerMessage(7005, LogLevel.Information, "Send {ClientMessageId} was refused: {Code}")]
    private static partial void SendRefused(ILogger logger, string clientMessageId, ErrorCode code);
}
