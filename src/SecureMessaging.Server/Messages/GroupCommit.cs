using System.Collections.Concurrent;
using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Messages;

/// <summary>
/// Group commit: the one writer of envelopes on this node. Whatever has gathered while the last batch was being committed goes into the next.
/// </summary>
/// <remarks>
/// 1. Append the batch in one transaction. 2. After the commit, answer the senders. 3. Only then hand the entries to the feed; nothing that happens there can fail
/// an ack. What goes to other nodes, acks of the hub and entries leave together: by this thread if nobody waits for it, and otherwise by others while the next batch is appended. They leave
/// before, as far as they are, when the feed has to wait because delivery is far behind.
/// </remarks>
internal sealed partial class GroupCommit(
    IEnvelopeAppend append, CommitFeed feed, TimeProvider time, int batchLength, Action<SendGroup> release, ServerMetrics metrics, ILogger logger) : IDisposable
{
    private static readonly ErrorBody Poison = ApiException.Unstorable().ToBody();

    private readonly BlockingCollection<SendGroup> queue = [];
    private readonly OncePerMinute unavailable = new(time);
    private readonly WriteHandover delivery = new(static writes => ThreadPool.UnsafeQueueUserWorkItem(writes, preferLocal: false));
    private readonly HashSet<(Guid RoomId, Guid Id)> batchIds = [];
    private volatile SendGroup[] writing = [];
    private volatile SendGroup? left;

    /// <summary>Whoever has no outcome yet.</summary>
    public IEnumerable<SendGroup> Waiting => queue.Concat(writing).Concat(left is { } one ? [one] : []).Where(group => !group.Completion.IsCompleted);

    /// <summary>False when the node stops and takes no more.</summary>
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

    /// <summary>Takes no more, and ends when all is written.</summary>
    public void Finish() => queue.CompleteAdding();

    public void Dispose() => queue.Dispose();

    /// <summary>Blocks: the writer has a thread of its own.</summary>
    public void Run()
    {
        var batch = new List<SendGroup>();
        foreach (var first in queue.GetConsumingEnumerable())
        {
            for (var carried = first; carried is not null;)
            {
                batch.Clear();
                left = carried = Gather(batch, carried);
                writing = [.. batch];
                Write(writing);
                writing = [];
            }
        }
    }

    /// <summary>Takes what is queued, up to a batch. An id that the batch holds already waits for the next one, where it is found stored.</summary>
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
            // The database is away: nobody knows what became of the batch, and every sender may repeat.
            metrics.Sent(SendOutcome.Failed, envelopes.Length);
            var cause = exception.InnerException?.GetType().Name ?? exception.Code.ToString();
            if (unavailable.Allows(cause, out var others))
                BatchUnavailable(logger, envelopes.Length, cause, others);
            foreach (var group in batch)
                group.Fail(exception.ToBody());
            foreach (var roomId in envelopes.Select(envelope => envelope.RoomId).Distinct())
                feed.Doubt(roomId);
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
            queue.Count > 0 || left is not null ? delivery : null);
    }

    /// <summary>
    /// Finds the one envelope that sank its batch. One that can never be stored is refused for good, and the rest goes on. After a failure that may be repeated,
    /// the rest of the group fails too, or it would overtake.
    /// </summary>
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
                feed.Doubt(group.Envelopes[i].RoomId);
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
    /// The database has refused the values, or the code before it has failed while it deals with another envelope. What the database itself failed of, such as a
    /// full disk, is no fault of the envelope: its sender repeats it.
    /// </summary>
    private bool IsPoison(Exception exception)
    {
        if (append.IsDefinite(exception))
            return true;
        if (exception is ApiException or DbException or IOException or OutOfMemoryException)
            return false;
        try
        {
            // To a room that there is not: nothing is stored.
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
                // Stored by an attempt whose outcome was unknown, perhaps on a node that is no more: perhaps nobody was told.
                if (outcomes[i].Status == AppendStatus.Duplicate)
                    feed.Doubt(envelope.RoomId);
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
            // Durable all the same, so their senders are told so. The sweep sees that the logs have gone on.
            PublishFailed(logger, exception);
        }
    }

    [LoggerMessage(
        3000, LogLevel.Warning,
        "{Count} sends failed because the database did not answer ({ExceptionType}); so did {Batches} batches since the last such line")]
    private static partial void BatchUnavailable(ILogger logger, int count, string exceptionType, int batches);

    [LoggerMessage(3001, LogLevel.Error, "A batch of {Count} sends was refused; trying one by one")]
    private static partial void BatchRefused(ILogger logger, int count, Exception exception);

    [LoggerMessage(3002, LogLevel.Error, "A send was refused")]
    private static partial void EnvelopeRefused(ILogger logger, Exception exception);

    [LoggerMessage(3004, LogLevel.Error, "A send can never be stored and was refused for good")]
    private static partial void EnvelopeIsPoison(ILogger logger, Exception exception);

    [LoggerMessage(3003, LogLevel.Error, "What was committed could not be handed on; it will be read")]
    private static partial void PublishFailed(ILogger logger, Exception exception);
}
