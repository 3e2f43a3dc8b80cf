using System.Collections.Concurrent;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Diagnostics;

namespace SecureMessaging.Server.RoomLog;

/// <summary>Group commit: the only writer of envelopes on this node. All sends that arrive during a commit go into the next batch.</summary>
/// <remarks>
/// <code>
/// SendQueue ─▶ queue ─▶ 1 append (one transaction) ─▶ 2 acks ─▶ 3 feed (room delivery, other nodes) ─▶ 4 socket writes
///                 ▲             │
///                 └ LockedRooms ┘
/// </code>
/// 1. The batch is appended in one transaction. Sends to a room that another transaction has locked wait in <see cref="LockedRooms"/>.
/// 2. After the commit, senders get their results.
/// 3. Then the feed gets the entries. A failure there never fails an ack.
/// 4. What 2 and 3 wrote to a client leaves in one write: <see cref="WriteBatch"/>.
///
/// Steps 2 to 4 run on this thread when no send waits, otherwise through <see cref="Handover"/> while the next batch is appended.
/// </remarks>
internal sealed partial class GroupCommit(
    IEnvelopeAppend append, CommitFeed feed, TimeProvider time, int batchLength, int mostOfLockedRoom, Action<SendPart> release, ServerMetrics metrics,
    ILogger logger) : IDisposable
{
    /// <summary>Rooms that were locked and that one batch tries again.</summary>
    private const int MaxTries = 64;

    /// <summary>Before the next try when nothing else is to be written.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(2);
    private static readonly ErrorBody Poison = ApiException.Unstorable().ToBody();

    private readonly BlockingCollection<SendPart> queue = [];
    private readonly Lock adding = new();
    private readonly LockedRooms locked = new();

    // Come before the queue.
    private readonly Queue<SendPart> ready = new();
    private readonly OncePerMinute unavailable = new(time);
    private readonly Handover handover = new(static work => ThreadPool.UnsafeQueueUserWorkItem(work, preferLocal: false));
    private readonly HashSet<(Guid RoomId, Guid Id)> batchIds = [];
    private readonly ManualResetEventSlim never = new();
    private volatile SendPart[] writing = [];
    private volatile SendPart? carriedOver;

    public IEnumerable<SendGroup> Waiting => queue.Concat(writing).Concat(locked.Waiting()).Concat(carriedOver is { } one ? [one] : [])
        .Select(part => part.Group).Where(group => !group.Completion.IsCompleted);

    /// <summary>False after <see cref="Finish"/>.</summary>
    public bool TryQueue(SendGroup group)
    {
        lock (adding)
        {
            if (queue.IsAddingCompleted)
                return false;
            foreach (var part in group.Parts)
                queue.Add(part);
            return true;
        }
    }

    public void Finish()
    {
        lock (adding)
            queue.CompleteAdding();
    }

    public void Dispose()
    {
        queue.Dispose();
        never.Dispose();
    }

    public void Run()
    {
        var batch = new List<SendPart>();
        while (TryGather(batch))
        {
            writing = [.. batch];
            Write(writing);
            writing = [];
        }

        handover.Settle();
    }

    /// <summary>
    /// Waits for sends and takes up to the batch length of them. A repeated id waits for the next batch, which finds it stored. False: there will be no more.
    /// </summary>
    private bool TryGather(List<SendPart> batch)
    {
        batch.Clear();
        batchIds.Clear();
        var isTaken = TryTake(out var part, locked.IsEmpty ? Timeout.InfiniteTimeSpan : Pause);
        if (!isTaken && locked.IsEmpty)
            return false;
        foreach (var first in locked.Next(MaxTries))
            Add(first);
        for (; isTaken; isTaken = TryTake(out part, TimeSpan.Zero))
        {
            if (locked.CountOf(part!.RoomId) >= mostOfLockedRoom)
            {
                release(part);
                part.Fail(ApiException.RoomBusy().ToBody());
            }
            else if (!locked.TryWait(part))
            {
                if (batch.Count > 0 && (batchIds.Count + part.Envelopes.Length > batchLength || Holds(part)))
                {
                    carriedOver = part;
                    break;
                }

                Add(part);
            }
        }

        return true;

        void Add(SendPart one)
        {
            foreach (var envelope in one.Envelopes)
                batchIds.Add((envelope.RoomId, envelope.Id));
            batch.Add(one);
        }
    }

    private bool TryTake([NotNullWhen(true)] out SendPart? part, TimeSpan wait)
    {
        part = carriedOver;
        carriedOver = null;
        if (part is not null || ready.TryDequeue(out part) || queue.TryTake(out part, wait))
            return true;
        // Returns at once when no more sends can come.
        if (queue.IsCompleted && wait > TimeSpan.Zero)
            never.Wait(wait);
        return false;
    }

    private bool Holds(SendPart part)
    {
        foreach (var envelope in part.Envelopes)
        {
            if (batchIds.Contains((envelope.RoomId, envelope.Id)))
                return true;
        }

        return false;
    }

    private void Write(SendPart[] batch)
    {
        Envelope[] envelopes = batch.Length == 1 ? batch[0].Envelopes : [.. batch.SelectMany(part => part.Envelopes)];
        AppendOutcome[] outcomes;
        var started = time.GetTimestamp();
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
            foreach (var part in batch)
            {
                Leave(part);
                part.Fail(exception.ToBody());
            }

            foreach (var roomId in envelopes.Select(envelope => envelope.RoomId).Distinct())
                feed.MarkStale(roomId);
            return;
        }
        catch (Exception exception)
        {
            BatchRefused(logger, envelopes.Length, exception);
            handover.Settle();
            foreach (var part in batch)
            {
                Leave(part);
                WriteOneByOne(part);
            }

            return;
        }

        var committed = time.GetTimestamp();
        metrics.Appended(envelopes.Length, time.GetElapsedTime(started, committed));
        var start = 0;
        foreach (var part in batch)
        {
            if (outcomes[start].Status == AppendStatus.RoomLocked)
            {
                locked.Add(part);
            }
            else
            {
                metrics.Passed(SendStage.Queue, time.GetElapsedTime(part.Group.QueuedAt, started));
                Leave(part);
            }

            start += part.Envelopes.Length;
        }

        if (queue.Count > 0 || carriedOver is not null || ready.Count > 0)
        {
            handover.Give(() => Complete(batch, outcomes, committed));
        }
        else
        {
            handover.Settle();
            Complete(batch, outcomes, committed);
        }
    }

    /// <summary>The part waits no more, and those behind it go into the next batches.</summary>
    private void Leave(SendPart part)
    {
        release(part);
        metrics.Queued(-part.Envelopes.Length);
        if (locked.TryRelease(part, out var behind))
        {
            foreach (var next in behind)
                ready.Enqueue(next);
        }
    }

    private void Complete(SendPart[] batch, AppendOutcome[] outcomes, long committed)
    {
        var started = time.GetTimestamp();
        metrics.Passed(SendStage.Handover, time.GetElapsedTime(committed, started));
        var writes = new WriteBatch();
        try
        {
            Count(outcomes);
            var start = 0;
            foreach (var part in batch)
            {
                var ofPart = outcomes.AsSpan(start, part.Envelopes.Length);
                if (ofPart[0].Status != AppendStatus.RoomLocked)
                    part.Complete(ofPart, writes);
                start += part.Envelopes.Length;
            }

            Publish(batch, outcomes, writes);
        }
        catch (Exception exception)
        {
            CompletionFailed(logger, exception);
        }

        // Also after a failure: a connection that is held would stay silent.
        writes.Flush();
        metrics.Passed(SendStage.Delivery, time.GetElapsedTime(started));
    }

    /// <summary>Finds the envelope that made its batch fail. One that can never be stored is rejected for good, and the others continue.</summary>
    /// <remarks>After a retryable failure the rest of the part fails too; otherwise later envelopes would overtake the failed one.</remarks>
    private void WriteOneByOne(SendPart part)
    {
        var results = new SendResult[part.Envelopes.Length];
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
                var outcome = append.Append([part.Envelopes[i]], time.Now());
                Count(outcome);
                results[i] = SendPart.ToResult(part.Envelopes[i], outcome[0]);
                stopped = outcome[0].Status == AppendStatus.RoomLocked ? results[i].Error : null;
                tried.Add(part.Envelopes[i]);
                outcomes.Add(outcome[0]);
            }
            catch (Exception exception)
            {
                var body = IsPoison(exception) ? Poison : ApiException.Describe(exception);
                feed.MarkStale(part.Envelopes[i].RoomId);
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

        var writes = new WriteBatch();
        part.Group.Complete(part, results, writes);
        Publish([part with { Envelopes = [.. tried] }], [.. outcomes], writes);
        writes.Flush();
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
        var (stored, duplicate, waiting) = (0, 0, 0);
        foreach (var outcome in outcomes)
        {
            waiting += outcome.Status == AppendStatus.RoomLocked ? 1 : 0;
            stored += outcome.Status == AppendStatus.Stored ? 1 : 0;
            duplicate += outcome.Status == AppendStatus.Duplicate ? 1 : 0;
        }

        metrics.Sent(SendOutcome.Stored, stored);
        metrics.Sent(SendOutcome.Duplicate, duplicate);
        metrics.Sent(SendOutcome.Refused, outcomes.Length - stored - duplicate - waiting);
    }

    private void Publish(SendPart[] batch, AppendOutcome[] outcomes, WriteBatch writes)
    {
        try
        {
            var stored = new Dictionary<Guid, List<LogEntry>>();
            var i = -1;
            foreach (var envelope in batch.SelectMany(part => part.Envelopes))
            {
                i++;
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
                feed.PublishAsync(new CommittedEntries(roomId, [.. entries]), writes).AsTask().GetAwaiter().GetResult();
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

    [LoggerMessage(3006, LogLevel.Error, "What follows a commit failed; its entries are durable, and room delivery reads them from the log")]
    private static partial void CompletionFailed(ILogger logger, Exception exception);

    [LoggerMessage(3003, LogLevel.Error, "Committed entries could not be published; room delivery reads them from the log")]
    private static partial void PublishFailed(ILogger logger, Exception exception);
}
