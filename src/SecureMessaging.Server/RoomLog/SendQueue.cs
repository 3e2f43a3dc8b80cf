using System.Runtime.InteropServices;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.RoomLog;

/// <summary>
/// The only entry of sends: validates each, rejects those over a bound as <see cref="ErrorCode.Overloaded"/>, and queues the rest for
/// <see cref="GroupCommit"/>.
/// </summary>
internal sealed partial class SendQueue : BackgroundService
{
    /// <summary>The longest wait for an outcome. Retries are idempotent: the first attempt stays ahead in the queue.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4.5);
    private static readonly TimeSpan PatienceCheck = TimeSpan.FromMilliseconds(250);

    private readonly GroupCommit writer;
    private readonly OwnerProof ownerProof;
    private readonly Limits limits;
    private readonly MessagesOptions options;
    private readonly RateLimits rates;
    private readonly ByteQuotas quotas;
    private readonly LogStore log;
    private readonly ServerMetrics metrics;
    private readonly ILogger logger;
    private readonly TimeProvider time;
    private readonly ITimer patienceTimer;
    private long queuedBytes;
    private int queuedParts;

    public SendQueue(
        IEnvelopeAppend append, OwnerProof ownerProof, CommitFeed feed, TimeProvider time, Limits limits, IOptions<MessagesOptions> options, RateLimits rates,
        ByteQuotas quotas, LogStore log, ServerMetrics metrics, ILogger<SendQueue> logger)
    {
        (this.ownerProof, this.limits, this.options, this.rates) = (ownerProof, limits, options.Value, rates);
        (this.quotas, this.log, this.metrics, this.logger, this.time) = (quotas, log, metrics, logger, time);
        writer = new GroupCommit(append, feed, time, this.options.BatchLength, Math.Max(1, this.options.QueueLength / 4), Release, metrics, logger);
        // Begins with the writer: a command, which starts no service, disposes this object without stopping it.
        patienceTimer = time.CreateTimer(_ => FailOverdue(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <param name="caller">The sender.</param>
    /// <param name="request">What to send.</param>
    /// <param name="output">See <see cref="SendGroup"/>.</param>
    public async Task<SendAck> SendAsync(Caller caller, SendRequest request, IBatchedOutput? output = null)
    {
        rates.Sends.Spend(caller.UserId);
        var envelope = Validate(caller, request);
        quotas.Spend(caller.UserId, envelope.Ciphertext.Length);
        if (quotas.Check(envelope.RoomId, envelope.Ciphertext.Length) is { } full)
        {
            await log.RequireMemberAsync(caller, envelope.RoomId, CancellationToken.None);
            throw full;
        }

        var result = (await EnqueueAsync([envelope], output))[0];
        NoteStored(envelope, result);
        return result.Ack ?? throw new ApiException(result.Error!.Code, result.Error.Message)
        {
            RetryAfterMs = result.Error.RetryAfterMs,
            CurrentEpoch = result.Error.CurrentEpoch,
            Errors = result.Error.Errors,
        };
    }

    /// <summary>Sends succeed or fail one by one. Valid sends are stored in the given order within each room.</summary>
    public async Task<SendResult[]> SendBatchAsync(Caller caller, SendRequest[] requests)
    {
        if (requests is null || requests.Length == 0 || requests.Length > limits.BatchSends)
            throw ApiException.Invalid($"A batch has 1 to {limits.BatchSends} sends.", "requests");
        rates.Sends.Spend(caller.UserId, requests.Length);
        if (requests.Sum(request => (long)(request?.Ciphertext?.Length ?? 0)) > limits.BatchBytes)
            throw ApiException.TooMany($"The ciphertexts of a batch may have {limits.BatchBytes} bytes at most.", "requests");
        var results = new SendResult[requests.Length];
        var valid = new List<(int Index, Envelope Envelope)>(requests.Length);
        var ids = new HashSet<(Guid, Guid)>(requests.Length);
        var bytesOfRooms = new Dictionary<Guid, long>(1);
        var bytes = 0L;
        for (var i = 0; i < requests.Length; i++)
        {
            try
            {
                var envelope = Validate(caller, requests[i]);
                if (!ids.Add((envelope.RoomId, envelope.Id)))
                    throw new ApiException(ErrorCode.Conflict, "The batch names this clientMessageId twice.");
                valid.Add((i, envelope));
                bytes += envelope.Ciphertext.Length;
                CollectionsMarshal.GetValueRefOrAddDefault(bytesOfRooms, envelope.RoomId, out _) += envelope.Ciphertext.Length;
            }
            catch (ApiException exception)
            {
                results[i] = new SendResult(null, exception.ToBody());
            }
            catch (Exception exception)
            {
                // Reading depends only on the envelope: it fails at every attempt and must not fail its batch.
                EnvelopeUnreadable(logger, exception);
                results[i] = new SendResult(null, ApiException.Unstorable().ToBody());
            }
        }

        quotas.Spend(caller.UserId, bytes);
        foreach (var (roomId, roomBytes) in bytesOfRooms)
        {
            if (quotas.Check(roomId, roomBytes) is { } full)
                await RefuseAsync(caller, roomId, full, valid, results);
        }

        if (valid.Count > 0)
        {
            var stored = await EnqueueAsync([.. valid.Select(item => item.Envelope)], output: null);
            for (var i = 0; i < stored.Length; i++)
            {
                results[valid[i].Index] = stored[i];
                NoteStored(valid[i].Envelope, stored[i]);
            }
        }

        return results;
    }

    private void NoteStored(Envelope envelope, SendResult result)
    {
        if (result.Ack is { Duplicate: false })
            quotas.Stored(envelope.RoomId, envelope.Ciphertext.Length);
    }

    /// <summary>Removes the sends to a full room from a batch. Only members learn that the room is full.</summary>
    private async Task RefuseAsync(Caller caller, Guid roomId, ApiException full, List<(int Index, Envelope Envelope)> valid, SendResult[] results)
    {
        SendResult refusal;
        try
        {
            await log.RequireMemberAsync(caller, roomId, CancellationToken.None);
            refusal = new SendResult(null, full.ToBody());
        }
        catch (ApiException exception)
        {
            refusal = new SendResult(null, exception.ToBody());
        }

        foreach (var (index, envelope) in valid)
        {
            if (envelope.RoomId == roomId)
                results[index] = refusal;
        }

        valid.RemoveAll(item => item.Envelope.RoomId == roomId);
    }

    // Without the stopping token: accepted sends are finished before the process ends.
    protected override Task ExecuteAsync(CancellationToken stoppingToken)
    {
        patienceTimer.Change(PatienceCheck, PatienceCheck);
        return Task.Factory.StartNew(writer.Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        writer.Finish();
        // The writer logs its failures. After the host's shutdown timeout the process ends without the rest.
        if (ExecuteTask is { } running)
            await running.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await patienceTimer.DisposeAsync();
        await base.StopAsync(cancellationToken);
    }

    public override void Dispose()
    {
        patienceTimer.Dispose();
        writer.Dispose();
        base.Dispose();
    }

    private Envelope Validate(Caller caller, SendRequest request)
    {
        if (request?.Ciphertext is not { Length: > 0 } ciphertext)
            throw ApiException.Invalid("ciphertext must not be empty.", "ciphertext");
        if (ciphertext.Length > limits.CiphertextBytes)
            throw ApiException.TooLarge("ciphertext", limits.CiphertextBytes);
        if (request.RoomId == Guid.Empty || request.ClientMessageId == Guid.Empty)
            throw ApiException.Invalid("roomId and clientMessageId must be given.", request.RoomId == Guid.Empty ? "roomId" : "clientMessageId");
        Positions.Require("epoch", request.Epoch);
        if (request.TimeToLiveSeconds is { } ttl && (ttl < limits.TimeToLiveMinSeconds || ttl > limits.TimeToLiveMaxSeconds))
            throw ApiException.Invalid($"timeToLiveSeconds must be {limits.TimeToLiveMinSeconds} to {limits.TimeToLiveMaxSeconds}.", "timeToLiveSeconds");
        return new Envelope(
            request.RoomId, caller.UserId, request.ClientMessageId, ownerProof.Compute(caller.UserId, request.RoomId, request.ClientMessageId),
            ciphertext, request.Epoch, request.TimeToLiveSeconds, FindGeneration(request));
    }

    /// <summary>Reads every envelope, because only the database knows the rooms' schemes. For other ciphertexts it costs a few comparisons.</summary>
    private static int FindGeneration(SendRequest request) =>
        MlsPrivateMessage.TryRead(request.Ciphertext, out var message) && message.Type == MlsContentType.Application
        && request.Epoch > 0 && message.Epoch == (ulong)request.Epoch && message.TryGetGeneration(request.RoomId, out var generation)
            ? generation
            : Envelope.NoGeneration;

    private Task<SendResult[]> EnqueueAsync(Envelope[] envelopes, IBatchedOutput? output)
    {
        var group = new SendGroup(envelopes, time.GetTimestamp(), output);
        metrics.Queued(envelopes.Length);
        var isFull = Interlocked.Add(ref queuedBytes, group.Parts.Sum(part => part.Bytes)) > options.QueueBytes
            | Interlocked.Add(ref queuedParts, group.Parts.Length) > options.QueueLength;
        if (!isFull && writer.TryQueue(group))
            return group.Completion;
        foreach (var part in group.Parts)
            Release(part);
        metrics.Queued(-envelopes.Length);
        metrics.Sent(SendOutcome.Overloaded, envelopes.Length);
        throw new ApiException(ErrorCode.Overloaded, "The server is busy; nothing was stored.") { RetryAfterMs = 200 };
    }

    private void Release(SendPart part)
    {
        Interlocked.Add(ref queuedBytes, -part.Bytes);
        Interlocked.Decrement(ref queuedParts);
    }

    /// <summary>Checks all waiting groups at once instead of one timer for each.</summary>
    private void FailOverdue()
    {
        foreach (var group in writer.Waiting.Where(group => time.GetElapsedTime(group.QueuedAt) > Patience))
        {
            group.Fail(new ErrorBody(
                ErrorCode.Unavailable, "The server is slow to answer; the outcome is unknown. Sends are safe to repeat.", Retryable: true, RetryAfterMs: 500));
        }
    }

    [LoggerMessage(3005, LogLevel.Error, "A send cannot be read and was rejected for good")]
    private static partial void EnvelopeUnreadable(ILogger logger, Exception exception);
}
