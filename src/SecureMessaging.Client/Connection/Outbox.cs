using System.Collections.Concurrent;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// Sends what the application queued, until each send has ended as an ack or a definite failure. Whatever happens in between, the same id and bytes are
/// sent again, and the server answers a repetition with the first ack.
/// </summary>
/// <remarks>
/// Order: one batch is in flight at a time, and it holds the oldest pending send of each room and no second one. Items of a batch succeed or fail alone;
/// were two of one room in it, the first could be refused for the moment (overload) and the second stored, and they would have changed places for good.
/// </remarks>
internal sealed partial class Outbox(ClientStore store, HubLink link, ClientOptions options, ILogger logger)
{
    /// <summary>Ciphertext in one batch, so that the hub's frame stays well below the server's limit in both protocols.</summary>
    private const int BatchBytes = 256 * 1024;

    private readonly ConcurrentDictionary<string, TaskCompletionSource<SendReceipt>> _waiters = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (Backoff Backoff, DateTimeOffset Until)> _resting = new(StringComparer.Ordinal);
    private readonly Wakeup _work = new(options.TimeProvider);
    private readonly Lock _order = new();
    private bool _oneByOne;

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
            if (!store.TryEnqueue(item, options.OutboxCapacity))
            {
                _waiters.TryRemove(item.ClientMessageId, out _);
                throw new SecureMessagingException(new ErrorBody(ErrorCode.Overloaded, "The outbox is full.", true));
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
            var batch = TakeBatch(out var restUntil);
            if (batch.Count == 0)
            {
                await _work.WaitAsync(restUntil, cancellationToken);
                continue;
            }
            TimeSpan? wait;
            try
            {
                var requests = batch.Select(ToRequest).ToArray();
                var results = await link.InvokeAsync<SendResult[]>(nameof(IChatHub.SendBatch), [requests], cancellationToken);
                if (results.Length != batch.Count)
                    throw new SecureMessagingException("The server answered a batch with another number of results.");
                wait = Settle(batch, results);
                _oneByOne = false;
                if (wait is null)
                {
                    backoff.Reset();
                    continue;
                }
            }
            catch (SecureMessagingException e) when (e.Retryable || e.ErrorCode == ErrorCode.Unauthenticated)
            {
                wait = e.RetryAfter;
            }
            catch (SqliteException e)
            {
                // The disk is full, say. What was acked and could not be removed is sent again and acked again.
                StoreFailed(logger, e.SqliteErrorCode);
                wait = null;
            }
            catch (SecureMessagingException e)
            {
                // The batch as a whole was refused: find out which send is to blame.
                if (batch.Count == 1)
                    Fail(batch[0], e);
                _oneByOne = true;
                continue;
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

    /// <summary>The oldest send of each room that does not rest after a failure.</summary>
    private List<OutboxItem> TakeBatch(out TimeSpan restUntil)
    {
        var now = options.TimeProvider.GetUtcNow();
        var soonest = now + options.HeadCheckInterval;
        var batch = new List<OutboxItem>();
        var bytes = 0;
        foreach (var item in store.ReadOldestOfEachRoom(Limits.Default.BatchSends + _resting.Count))
        {
            if (_resting.TryGetValue(item.RoomId, out var rest) && rest.Until > now)
            {
                soonest = rest.Until < soonest ? rest.Until : soonest;
                continue;
            }
            bytes += item.Ciphertext.Length;
            if (batch.Count > 0 && (_oneByOne || bytes > BatchBytes || batch.Count == Limits.Default.BatchSends))
                break;
            batch.Add(item);
        }
        restUntil = soonest - now;
        return batch;
    }

    /// <summary>Deals with each result. Returns how long the whole outbox should wait, if it should.</summary>
    private TimeSpan? Settle(List<OutboxItem> batch, SendResult[] results)
    {
        var done = new List<long>();
        TimeSpan? wait = null;
        for (var i = 0; i < batch.Count; i++)
        {
            var item = batch[i];
            if (results[i].Ack is not null)
                done.Add(item.Position);
            else if (!IsDefinite(results[i].Error))
                wait = Rest(item.RoomId, results[i].Error) is { } asked && asked > (wait ?? TimeSpan.Zero) ? asked : wait;
        }
        if (done.Count > 0)
            store.RemoveFromOutbox(done);
        // Only now: who is told of an ack may count on it that the send is over.
        for (var i = 0; i < batch.Count; i++)
        {
            var item = batch[i];
            if (results[i] is { Ack: { } ack })
            {
                _resting.Remove(item.RoomId);
                if (_waiters.TryRemove(item.ClientMessageId, out var waiter))
                    waiter.TrySetResult(new(ack.RoomId, ack.ClientMessageId, ack.Seq, ack.CreatedAt));
            }
            else if (IsDefinite(results[i].Error))
            {
                Fail(item, new SecureMessagingException(results[i].Error!));
            }
        }
        return wait;
    }

    /// <summary>Lets a room rest; overload and quotas are everyone's, so then the whole outbox does.</summary>
    private TimeSpan? Rest(string roomId, ErrorBody? error)
    {
        var backoff = _resting.TryGetValue(roomId, out var earlier) ? earlier.Backoff : new Backoff(options);
        TimeSpan? asked = error?.RetryAfterMs is { } delay ? TimeSpan.FromMilliseconds(delay) : null;
        _resting[roomId] = (backoff, options.TimeProvider.GetUtcNow() + backoff.Next(asked));
        return error?.Code is ErrorCode.Overloaded or ErrorCode.RateLimited or ErrorCode.Unavailable ? asked ?? TimeSpan.Zero : null;
    }

    private void Fail(OutboxItem item, SecureMessagingException error)
    {
        store.RemoveFromOutbox([item.Position]);
        _resting.Remove(item.RoomId);
        SendRefused(logger, item.ClientMessageId, error.ErrorCode);
        if (_waiters.TryRemove(item.ClientMessageId, out var waiter))
            waiter.TrySetException(error);
        Failed?.Invoke(new(Guid.Parse(item.RoomId), Guid.Parse(item.ClientMessageId), error));
    }

    [LoggerMessage(7008, LogLevel.Warning, "The outbox cannot be written: SQLite error {SqliteError}")]
    private static partial void StoreFailed(ILogger logger, int sqliteError);

    [LoggerMessage(7005, LogLevel.Information, "Send {ClientMessageId} was refused: {Code}")]
    private static partial void SendRefused(ILogger logger, string clientMessageId, ErrorCode code);
}
