using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// Sends what the application queued, until each send has ended as an ack or a definite failure. Whatever happens in between, the same id and bytes are
/// sent again, and the server answers a repetition with the first ack.
/// </summary>
/// <remarks>
/// Order: one batch is in flight at a time, and it holds the oldest pending sends. This relies on the contract of <see cref="IChatHub.SendBatch"/>: after
/// an item that failed and may be repeated, every later one of the same room failed so too. So that item and all after it stay, and are sent again in their order (what was
/// stored for another room is answered as a duplicate); with a server that stored a later one of the same room all the same, the two would have changed places for good.
/// </remarks>
internal sealed partial class Outbox(ClientStore store, HubLink link, ClientOptions options, Warnings warnings, ILogger logger)
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource<SendReceipt>> _waiters = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (Backoff Backoff, DateTimeOffset Until)> _resting = new(StringComparer.Ordinal);
    private readonly Wakeup _work = new(options.TimeProvider);
    private readonly Lock _order = new();
    private int _alone;

    /// <summary>The server refused a send for good.</summary>
    public event Action<SendFailure>? Failed;

    public int Count => store.CountOutbox();

    /// <summary>Puts a message on disk. Two calls one after the other are sent in that order.</summary>
    public Guid Enqueue(Guid roomId, Func<Guid, byte[]> seal, TimeSpan? timeToLive, TaskCompletionSource<SendReceipt>? waiter)
    {
        var id = Guid.NewGuid();
        lock (_order)
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
                _waiters[item.ClientMessageId] = waiter;
            try
            {
                if (!store.TryEnqueue(item, options.OutboxCapacity))
                    throw new SecureMessagingException(new ErrorBody(ErrorCode.Overloaded, "The outbox is full.", true));
            }
            catch
            {
                _waiters.TryRemove(item.ClientMessageId, out _);
                throw;
            }
        }
        _work.Set();
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
                    await _work.WaitAsync(restUntil, cancellationToken);
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
                warnings.Raise(ClientWarningKind.Sending, $"Sending is tried again: {e.Message}", e);
                wait = e.RetryAfter;
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                // The disk is full, say. What was acked and could not be removed is sent again and acked again.
                SendingBroke(logger, e);
                warnings.Raise(ClientWarningKind.Sending, $"Sending broke off; it is tried again: {e.Message}", e);
                wait = null;
            }
            await backoff.DelayAsync(wait, cancellationToken);
        }
    }

    /// <summary>Nobody sends any more: who waits is told. What is queued stays on disk.</summary>
    public void GiveUp(Exception reason)
    {
        foreach (var id in _waiters.Keys)
        {
            if (_waiters.TryRemove(id, out var waiter))
                waiter.TrySetException(reason);
        }
    }

    /// <summary>A send that met the end of its session is not refused: the same account's next session sends it.</summary>
    private static bool IsDefinite(ErrorBody? error) => error is { Retryable: false, Code: not ErrorCode.Unauthenticated };

    private static SendRequest ToRequest(OutboxItem item) =>
        new(Guid.Parse(item.RoomId), Guid.Parse(item.ClientMessageId), item.Ciphertext, (int?)item.Ttl);

    /// <summary>An answer that fits the batch; any other leaves the outcome of every send unknown.</summary>
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

    /// <summary>The oldest sends of the rooms that do not rest after a failure.</summary>
    private List<OutboxItem> TakeBatch(out TimeSpan restUntil)
    {
        var now = options.TimeProvider.GetUtcNow();
        var resting = _resting.Where(room => room.Value.Until > now).ToDictionary(room => room.Key, room => room.Value.Until - now, StringComparer.Ordinal);
        restUntil = resting.Values.Append(options.HeadCheckInterval).Min();
        return store.ReadOldest(resting.Keys, _alone > 0 ? 1 : Limits.Default.BatchSends, Limits.Default.BatchBytes);
    }

    /// <summary>Sends a batch and deals with what becomes of it. Returns how long the whole outbox should wait, if it should.</summary>
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
            // The batch as a whole was refused, or made the server fail: find out which send is to blame. One that the server fails of holds up its own room alone.
            if (batch.Count > 1)
            {
                _alone = batch.Count;
                return null;
            }
            results = [new(null, e.Error)];
        }
        _alone = Math.Max(0, _alone - 1);
        return Settle(batch, results);
    }

    /// <summary>Deals with the results up to the first send that must be repeated; see the remarks on order for the rest.</summary>
    private TimeSpan? Settle(List<OutboxItem> batch, SendResult[] results)
    {
        var kept = Array.FindIndex(results, result => result.Ack is null && !IsDefinite(result.Error));
        var over = kept < 0 ? batch.Count : kept;
        if (over > 0)
            store.RemoveFromOutbox(batch.Take(over).Select(item => item.Position));
        // Only now: who is told of an ack may count on it that the send is over.
        for (var i = 0; i < over; i++)
            Tell(batch[i], results[i]);
        return kept < 0 ? null : Rest(batch[kept].RoomId, results[kept].Error);
    }

    /// <summary>Lets a room rest; overload and quotas are everyone's, so then the whole outbox does.</summary>
    private TimeSpan? Rest(string roomId, ErrorBody? error)
    {
        var backoff = _resting.TryGetValue(roomId, out var earlier) ? earlier.Backoff : new Backoff(options);
        TimeSpan? asked = error?.RetryAfterMs is { } delay ? TimeSpan.FromMilliseconds(delay) : null;
        warnings.Raise(ClientWarningKind.Sending, $"The room's messages wait: {error?.Message ?? "the server's answer is incomplete"}", roomId: Guid.Parse(roomId));
        _resting[roomId] = (backoff, options.TimeProvider.GetUtcNow() + backoff.Next(asked));
        return error?.Code is ErrorCode.Overloaded or ErrorCode.RateLimited or ErrorCode.Unavailable ? asked ?? TimeSpan.Zero : null;
    }

    private void Tell(OutboxItem item, SendResult result)
    {
        _resting.Remove(item.RoomId);
        _waiters.TryRemove(item.ClientMessageId, out var waiter);
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

    [LoggerMessage(7008, LogLevel.Error, "Sending broke off; it is tried again")]
    private static partial void SendingBroke(ILogger logger, Exception exception);

    [LoggerMessage(7005, LogLevel.Information, "Send {ClientMessageId} was refused: {Code}")]
    private static partial void SendRefused(ILogger logger, string clientMessageId, ErrorCode code);
}
