using System.Collections.Concurrent;
using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Diagnostics;

namespace SecureMessaging.Server.RoomLog;

/// <summary>Group commit: the only writer of envelopes on this node. All sends that arrive during a commit go into the next batch.</summary>
/// <remarks>
/// <code>
/// SendQueue ─▶ queue ─▶ 1 append (one transaction) ─▶ 2 acks ─▶ 3 feed (room delivery, other nodes)
///                                                         └── held, then written together: WriteBatch ──┘
/// </code>
/// 1. The batch is appended in one transaction.
/// 2. After the commit, senders get their results.
/// 3. Then the feed gets the entries. A failure there never fails an ack.
///
/// Acks and entries leave in one write: on this thread when no group waits, otherwise through <see cref="WriteHandover"/> while the next batch is
/// appended. When room delivery is far behind and the feed must wait, the held writes leave first.
/// </remarks>
internal sealed partial class GroupCommit(
    IEnvelopeAppend append, CommitFeed feed, TimeProvider time, int batchLength, Action<SendGroup> release, ServerMetrics metrics, ILogger logger) : IDisposable
{
    private static readonly ErrorBody Poison = ApiException.Unstorable().ToBody();

    private readonly BlockingCollection<SendGroup> queue = [];
    private readonly OncePerMinute unavailable = new(time);
    private readonly WriteHandover handover = new(static writes => ThreadPool.UnsafeQueueUserWorkItem(writes, preferLocal: false));
    private readonly HashSet<(Guid RoomId, Guid Id)> batchIds = [];
    private volatile SendGroup[] writing = [];
    private volatile SendGroup? carriedOver;

    public IEnumerable<SendGroup> Waiting => queue.Concat(writing).Concat(carriedOver is { } one ? [one] : []).Where(group => !group.Completion.IsCompleted);

    /// <summary>False after <see cref="Finish"/>.</summary>
    public bool TryQueue(SendGroup group)
    {
        try
        {
            return queue.TryAdd(group);
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    public void Finish() => queue.CompleteAdding();

    public void Dispose() => queue.Dispose();

    public void Run()
    {
        var batch = new List<SendGroup>();
        foreach (var first in queue.GetConsumingEnumerable())
        {
            for (var carried = first; carried is not null;)
            {
                batch.Clear();
                carriedOver = carried = Gather(batch, carried);
                writing = [.. batch];
                Write(writing);
                writing = [];
            }
        }
    }

    /// <summary>Takes queued groups up to the batch length. A repeated id waits for the next batch, which finds it stored.</summary>
    private SendGroup? Gather(List<SendGroup> batch, SendGroup? carried)
    {
        var count = 0;
        batchIds.Clear();
        while (carried is not null || queue.TryTake(out carried))
        {
            if (batch.Count > 0 && (count + carried.Envelopes.Length > batchLength || Holds(carried)))
                return carried;
            foreach (var envelope in carried.Envelopes)
                batchIds.Add((envelope.RoomId, envelope.Id));
            count += carried.Envelopes.Length;
            release(carried);
            batch.Add(carried);
            carried = null;
        }

        return null;
    }

    private bool Holds(SendGroup group)
    {
        foreach (var envelope in group.Envelopes)
        {
            if (batchIds.Contains((envelope.RoomId, envelope.Id)))
                return true;
        }

        return false;
    }

    private void Write(SendGroup[] batch)
    {
        Envelope[] envelopes = [.. batch.SelectMany(group => group.Envelopes)];
        AppendOutcome[] outcomes;
        var started = time.GetTimestamp();
        metrics.Queued(-envelopes.Length);
        try
        {
            outcomes = append.Append(envelopes, time.Now());
        }
        catch (ApiException exception)
        {
            // The database is unavailable and the outcome is unknown. Retries are idempotent.
            metrics.Sent(SendOutcome.Failed, envelopes.Length);
            var cause = exception.InnerException?.GetType().Name ?? exception.Code.ToString();
            if (unavailable.Allows(cause, out var others))
                BatchUnavailable(logger, envelopes.Length, cause, others);
            foreach (var group in batch)
                group.Fail(exception.ToBody());
            foreach (var roomId in envelopes.Select(envelope => envelope.RoomId).Distinct())
                feed.MarkStale(roomId);
            return;
        }
        catch (Exception exception)
        {
            BatchRefused(logger, envelopes.Length, exception);
            foreach (var group in batch)
                WriteOneByOne(group);
            return;
        }

        metrics.Appended(envelopes.Length, time.GetElapsedTime(started));
        Count(outcomes);
        WriteBatch.Run(
            () =>
            {
                var start = 0;
                foreach (var group in batch)
                {
                    group.Complete(outcomes.AsSpan(start, group.Envelopes.Length));
                    start += group.Envelopes.Length;
                }

                Publish(envelopes, outcomes);
            },
            queue.Count > 0 || carriedOver is not null ? handover : null);
    }

    /// <summary>Finds the envelope that made its batch fail. One that can never be stored is rejected for good, and the others continue.</summary>
    /// <remarks>After a retryable failure the rest of the group fails too; otherwise later envelopes would overtake the failed one.</remarks>
    private void WriteOneByOne(SendGroup group)
    {
        var results = new SendResult[group.Envelopes.Length];
        List<Envelope> tried = [];
        List<AppendOutcome> outcomes = [];
        ErrorBody? stopped = null;
        for (var i = 0; i < results.Length; i++)
        {
            if (stopped is not null)
            {
                results[i] = new SendResult(null, stopped);
                continue;
            }

            try
            {
                var outcome = append.Append([group.Envelopes[i]], time.Now());
                Count(outcome);
                results[i] = SendGroup.ToResult(group.Envelopes[i], outcome[0]);
                tried.Add(group.Envelopes[i]);
                outcomes.Add(outcome[0]);
            }
            catch (Exception exception)
            {
                var body = IsPoison(exception) ? Poison : ApiException.Describe(exception);
                feed.MarkStale(group.Envelopes[i].RoomId);
                metrics.Sent(SendOutcome.Failed);
                results[i] = new SendResult(null, body);
                if (body == Poison)
                    EnvelopeIsPoison(logger, exception);
                else if (body.Code == ErrorCode.Internal)
                    EnvelopeRefused(logger, exception);
                if (body.Retryable)
                    stopped = body;
            }
        }

        group.Complete(results);
        Publish([.. tried], [.. outcomes]);
    }

    /// <summary>
    /// Whether the envelope can never be stored: the database rejects its values, or the code fails for it alone. A failure of the database itself,
    /// such as a full disk, is retryable.
    /// </summary>
    private bool IsPoison(Exception exception)
    {
        if (append.IsDefinite(exception))
            return true;
        if (exception is ApiException or DbException or IOException or OutOfMemoryException)
            return false;
        try
        {
            // The room does not exist, so nothing is stored.
            append.Append([new Envelope(Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid(), new byte[OwnerProof.Length], [0], 0, null)], time.Now());
            return true;
        }
        catch (Exception other)
        {
            EnvelopeRefused(logger, other);
            return false;
        }
    }

    private void Count(AppendOutcome[] outcomes)
    {
        var (stored, duplicate) = (0, 0);
        foreach (var outcome in outcomes)
        {
            stored += outcome.Status == AppendStatus.Stored ? 1 : 0;
            duplicate += outcome.Status == AppendStatus.Duplicate ? 1 : 0;
        }

        metrics.Sent(SendOutcome.Stored, stored);
        metrics.Sent(SendOutcome.Duplicate, duplicate);
        metrics.Sent(SendOutcome.Refused, outcomes.Length - stored - duplicate);
    }

    private void Publish(Envelope[] envelopes, AppendOutcome[] outcomes)
    {
        try
        {
            var stored = new Dictionary<Guid, List<LogEntry>>();
            for (var i = 0; i < envelopes.Length; i++)
            {
                var envelope = envelopes[i];
                // An earlier attempt with an unknown outcome stored it, perhaps on a node that died before it published.
                if (outcomes[i].Status == AppendStatus.Duplicate)
                    feed.MarkStale(envelope.RoomId);
                if (outcomes[i].Status != AppendStatus.Stored)
                    continue;
                if (!stored.TryGetValue(envelope.RoomId, out var entries))
                    stored.Add(envelope.RoomId, entries = []);
                feed.NoteSent(envelope.RoomId, envelope.UserId);
                entries.Add(new LogEntry(
                    outcomes[i].Seq, EntryKind.Message, outcomes[i].CreatedAt, envelope.Id, envelope.Ciphertext, envelope.Epoch,
                    outcomes[i].Visible ? envelope.UserId : null, ExpiresAt: outcomes[i].ExpiresAt));
            }

            foreach (var (roomId, entries) in stored)
                feed.PublishAsync(roomId, [.. entries]).AsTask().GetAwaiter().GetResult();
        }
        catch (Exception exception)
        {
            // The entries are durable, so the acks stay valid. Room delivery reads the log when the reconciler sees its new head.
            PublishFailed(logger, exception);
        }
    }

    [LoggerMessage(
        3000, LogLevel.Warning,
        "{Count} sends failed because the database did not answer ({ExceptionType}); {Batches} more batches failed since the last such line")]
    private static partial void BatchUnavailable(ILogger logger, int count, string exceptionType, int batches);

    [LoggerMessage(3001, LogLevel.Error, "A batch of {Count} sends failed; retrying its sends one by one")]
    private static partial void BatchRefused(ILogger logger, int count, Exception exception);

    [LoggerMessage(3002, LogLevel.Error, "A send failed")]
    private static partial void EnvelopeRefused(ILogger logger, Exception exception);

    [LoggerMessage(3004, LogLevel.Error, "A send can never be stored and was rejected for good")]
    private static partial void EnvelopeIsPoison(ILogger logger, Exception exception);

    [LoggerMessage(3003, LogLevel.Error, "Committed entries could not be published; room delivery reads them from the log")]
    private static partial void PublishFailed(ILogger logger, Exception exception);
}
