using System.Threading.Channels;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Messages;

/// <summary>
/// Group commit: the one writer of envelopes on this node. Sends wait in a bounded queue; whatever has gathered while the last batch was being
/// committed goes into the next.
/// </summary>
/// <remarks>
/// 1. Validate and enqueue, or refuse as <see cref="ErrorCode.Overloaded"/>. 2. Append the batch in one transaction. 3. After the commit, answer the senders.
/// 4. Only then hand the entries to the feed; nothing that happens there can fail an ack.
/// </remarks>
internal sealed partial class LogWriter(
    IEnvelopeAppend append, OwnerProof ownerProof, CommitFeed feed, TimeProvider time, Limits limits, IOptions<MessagesOptions> options, ServerMetrics metrics,
    ILogger<LogWriter> logger)
    : BackgroundService
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4.5);

    private readonly Channel<SendGroup> queue = Channel.CreateBounded<SendGroup>(
        new BoundedChannelOptions(options.Value.QueueLength) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });

    private long queuedBytes;

    public async Task<SendAck> SendAsync(Caller caller, SendRequest request, CancellationToken cancellationToken)
    {
        var result = (await EnqueueAsync([Validate(caller, request)], cancellationToken))[0];
        return result.Ack ?? throw new ApiException(result.Error!.Code, result.Error.Message)
        {
            RetryAfterMs = result.Error.RetryAfterMs,
            CurrentEpoch = result.Error.CurrentEpoch,
        };
    }

    /// <summary>Each succeeds or fails alone; what is valid is stored in the order given.</summary>
    public async Task<SendResult[]> SendBatchAsync(Caller caller, SendRequest[] requests, CancellationToken cancellationToken)
    {
        if (requests is null || requests.Length == 0 || requests.Length > limits.BatchSends)
            throw ApiException.Invalid($"A batch has 1 to {limits.BatchSends} sends.");
        if (requests.Sum(request => (long)(request?.Ciphertext?.Length ?? 0)) > limits.BatchBytes)
            throw ApiException.TooLarge("The ciphertexts of a batch", limits.BatchBytes);
        var results = new SendResult[requests.Length];
        var valid = new List<(int Index, Envelope Envelope)>(requests.Length);
        var ids = new HashSet<(Guid, Guid)>(requests.Length);
        for (var i = 0; i < requests.Length; i++)
        {
            try
            {
                var envelope = Validate(caller, requests[i]);
                if (!ids.Add((envelope.RoomId, envelope.Id)))
                    throw new ApiException(ErrorCode.Conflict, "The batch names this clientMessageId twice.");
                valid.Add((i, envelope));
            }
            catch (ApiException exception)
            {
                results[i] = new SendResult(null, exception.ToBody());
            }
        }

        if (valid.Count > 0)
        {
            var stored = await EnqueueAsync([.. valid.Select(item => item.Envelope)], cancellationToken);
            for (var i = 0; i < stored.Length; i++)
                results[valid[i].Index] = stored[i];
        }

        return results;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Not the stopping token: what was accepted is finished before the process ends.
        var carried = default(SendGroup);
        while (carried is not null || await queue.Reader.WaitToReadAsync(CancellationToken.None))
        {
            var batch = new List<SendGroup>();
            carried = Gather(batch, carried);
            await WriteAsync(batch);
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        queue.Writer.TryComplete();
        if (ExecuteTask is { } running)
            await running.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await base.StopAsync(cancellationToken);
    }

    private Envelope Validate(Caller caller, SendRequest request)
    {
        if (request?.Ciphertext is not { Length: > 0 } ciphertext)
            throw ApiException.Invalid("ciphertext must not be empty.");
        if (ciphertext.Length > limits.CiphertextBytes)
            throw ApiException.TooLarge("ciphertext", limits.CiphertextBytes);
        if (request.RoomId == Guid.Empty || request.ClientMessageId == Guid.Empty)
            throw ApiException.Invalid("roomId and clientMessageId must be given.");
        if (request.Epoch < 0)
            throw ApiException.Invalid("epoch must not be negative.");
        if (request.TimeToLiveSeconds is { } ttl && (ttl < limits.TimeToLiveMinSeconds || ttl > limits.TimeToLiveMaxSeconds))
            throw ApiException.Invalid($"timeToLiveSeconds must be {limits.TimeToLiveMinSeconds} to {limits.TimeToLiveMaxSeconds}.");
        return new Envelope(
            request.RoomId, caller.UserId, request.ClientMessageId, ownerProof.Compute(caller.UserId, request.RoomId, request.ClientMessageId),
            ciphertext, request.Epoch, request.TimeToLiveSeconds, FindGeneration(request));
    }

    /// <summary>Read of every envelope, for the rooms' schemes are known only to the database; a few comparisons where it is not MLS.</summary>
    private static int FindGeneration(SendRequest request) =>
        MlsPrivateMessage.TryRead(request.Ciphertext, out var message) && message.Type == ContentType.Application
        && request.Epoch > 0 && message.Epoch == (ulong)request.Epoch && message.TryGetGeneration(request.RoomId, out var generation)
            ? generation
            : Envelope.NoGeneration;

    private Task<SendResult[]> EnqueueAsync(Envelope[] envelopes, CancellationToken cancellationToken)
    {
        var group = new SendGroup(envelopes);
        if (Interlocked.Add(ref queuedBytes, group.Bytes) > options.Value.QueueBytes || !queue.Writer.TryWrite(group))
        {
            Interlocked.Add(ref queuedBytes, -group.Bytes);
            metrics.Sent("overloaded", envelopes.Length);
            throw new ApiException(ErrorCode.Overloaded, "The server is busy; nothing was stored.") { RetryAfterMs = 200 };
        }

        metrics.Queued(envelopes.Length);
        return AwaitAsync(group, cancellationToken);
    }

    /// <summary>
    /// Nobody waits longer than this for an outcome. Repeating is safe: the first attempt stays ahead in the queue.
    /// </summary>
    private static async Task<SendResult[]> AwaitAsync(SendGroup group, CancellationToken cancellationToken)
    {
        try
        {
            return await group.Completion.Task.WaitAsync(Patience, cancellationToken);
        }
        catch (TimeoutException exception)
        {
            throw new ApiException(ErrorCode.Unavailable, "The database is slow to answer; the outcome is unknown. Sends are safe to repeat.", exception) { RetryAfterMs = 500 };
        }
    }

    /// <summary>Takes what is queued, up to a batch. An id that the batch holds already waits for the next one, where it is found stored.</summary>
    private SendGroup? Gather(List<SendGroup> batch, SendGroup? carried)
    {
        var count = 0;
        var ids = new HashSet<(Guid, Guid)>();
        while (carried is not null || queue.Reader.TryRead(out carried))
        {
            if (batch.Count > 0 && (count + carried.Envelopes.Length > options.Value.BatchLength || carried.Envelopes.Any(e => ids.Contains((e.RoomId, e.Id)))))
                return carried;
            foreach (var envelope in carried.Envelopes)
                ids.Add((envelope.RoomId, envelope.Id));
            count += carried.Envelopes.Length;
            Interlocked.Add(ref queuedBytes, -carried.Bytes);
            batch.Add(carried);
            carried = null;
        }

        return null;
    }

    private async Task WriteAsync(List<SendGroup> batch)
    {
        Envelope[] envelopes = [.. batch.SelectMany(group => group.Envelopes)];
        AppendOutcome[] outcomes;
        var started = time.GetTimestamp();
        metrics.Queued(-envelopes.Length);
        try
        {
            outcomes = await append.AppendAsync(envelopes, time.Now(), CancellationToken.None);
        }
        catch (ApiException exception)
        {
            // The database is away: nobody knows what became of the batch, and every sender may repeat.
            metrics.Sent("failed", envelopes.Length);
            BatchUnavailable(logger, envelopes.Length, exception.InnerException?.GetType().Name);
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
                await WriteOneByOneAsync(group);
            return;
        }

        metrics.Appended(envelopes.Length, time.GetElapsedTime(started));
        Count(outcomes);
        var start = 0;
        foreach (var group in batch)
        {
            group.Complete(outcomes.AsSpan(start, group.Envelopes.Length));
            start += group.Envelopes.Length;
        }

        await PublishAsync(envelopes, outcomes);
    }

    /// <summary>Finds the one envelope that sank its batch. After a failure that may be repeated, the rest of the group fails too, or it would overtake.</summary>
    private async Task WriteOneByOneAsync(SendGroup group)
    {
        var results = new SendResult[group.Envelopes.Length];
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
                var outcome = await append.AppendAsync([group.Envelopes[i]], time.Now(), CancellationToken.None);
                Count(outcome);
                results[i] = SendGroup.ToResult(group.Envelopes[i], outcome[0]);
                await PublishAsync([group.Envelopes[i]], outcome);
            }
            catch (Exception exception)
            {
                var body = ApiException.Describe(exception);
                feed.Doubt(group.Envelopes[i].RoomId);
                metrics.Sent("failed");
                results[i] = new SendResult(null, body);
                if (body.Code == ErrorCode.Internal)
                    EnvelopeRefused(logger, exception);
                if (body.Retryable)
                    stopped = body;
            }
        }

        group.Completion.TrySetResult(results);
    }

    private void Count(AppendOutcome[] outcomes)
    {
        foreach (var outcomesAlike in outcomes.CountBy(outcome => outcome.Status))
        {
            metrics.Sent(
                outcomesAlike.Key switch { AppendStatus.Stored => "stored", AppendStatus.Duplicate => "duplicate", _ => "refused" }, outcomesAlike.Value);
        }
    }

    private async ValueTask PublishAsync(Envelope[] envelopes, AppendOutcome[] outcomes)
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
            await feed.PublishAsync(roomId, [.. entries]);
    }

    [LoggerMessage(3000, LogLevel.Warning, "{Count} sends failed because the database did not answer ({ExceptionType})")]
    private static partial void BatchUnavailable(ILogger logger, int count, string? exceptionType);

    [LoggerMessage(3001, LogLevel.Error, "A batch of {Count} sends was refused; trying one by one")]
    private static partial void BatchRefused(ILogger logger, int count, Exception exception);

    [LoggerMessage(3002, LogLevel.Error, "A send was refused")]
    private static partial void EnvelopeRefused(ILogger logger, Exception exception);
}
