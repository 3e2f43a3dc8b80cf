using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.RoomLog;

/// <summary>The envelopes of one call, and the results that their sender waits for.</summary>
internal sealed class SendGroup
{
    private readonly TaskCompletionSource<SendResult[]> completion;
    private readonly IBatchedOutput? output;
    private readonly SendResult[] results;
    private int open;

    /// <param name="envelopes">In the sender's order.</param>
    /// <param name="queuedAt">A timestamp of the clock.</param>
    /// <param name="output">
    /// If given, the continuation only writes a reply to this output, without waiting. It runs on the thread that completes the group, and the reply leaves in
    /// one write with the entries of the batch.
    /// </param>
    public SendGroup(Envelope[] envelopes, long queuedAt, IBatchedOutput? output)
    {
        (Envelopes, QueuedAt, this.output) = (envelopes, queuedAt, output);
        completion = new(output is null ? TaskCreationOptions.RunContinuationsAsynchronously : TaskCreationOptions.None);
        results = new SendResult[envelopes.Length];
        Parts = envelopes.Length == 1
            ? [new SendPart(this, envelopes, [0])]
            : [.. envelopes.Select((envelope, place) => (envelope, place)).GroupBy(item => item.envelope.RoomId).Select(
                room => new SendPart(this, [.. room.Select(item => item.envelope)], [.. room.Select(item => item.place)]))];
        open = Parts.Length;
    }

    public long QueuedAt { get; }

    public Envelope[] Envelopes { get; }

    /// <summary>One for each room.</summary>
    public SendPart[] Parts { get; }

    public Task<SendResult[]> Completion => completion.Task;

    /// <summary>Sets the results of one part. The last one completes the group.</summary>
    public void Complete(SendPart part, SendResult[] ofPart, WriteBatch? writes = null)
    {
        for (var i = 0; i < ofPart.Length; i++)
            results[part.Places[i]] = ofPart[i];
        if (Interlocked.Decrement(ref open) > 0)
            return;
        // An error is thrown through all callers, which takes too long for this thread.
        if (output is not null && Array.Exists(results, result => result.Ack is null))
        {
            ThreadPool.UnsafeQueueUserWorkItem(static group => group.completion.TrySetResult(group.results), this, preferLocal: false);
            return;
        }

        if (writes is not null)
            output?.Hold(writes);
        completion.TrySetResult(results);
    }

    /// <summary>Completes the group with this error, whatever happens to its parts.</summary>
    public void Fail(ErrorBody error) => ThreadPool.UnsafeQueueUserWorkItem(
        static item => item.group.completion.TrySetResult([.. item.group.Envelopes.Select(_ => new SendResult(null, item.error))]), (group: this, error),
        preferLocal: false);
}

/// <summary>The envelopes of one call to one room. They stay together, so their order survives any failure.</summary>
/// <param name="Group">The call.</param>
/// <param name="Envelopes">In the sender's order.</param>
/// <param name="Places">Their places among the envelopes of the call.</param>
internal sealed record SendPart(SendGroup Group, Envelope[] Envelopes, int[] Places)
{
    public Guid RoomId => Envelopes[0].RoomId;

    public long Bytes { get; } = Envelopes.Sum(envelope => (long)envelope.Ciphertext.Length);

    public void Complete(ReadOnlySpan<AppendOutcome> outcomes, WriteBatch? writes)
    {
        var results = new SendResult[outcomes.Length];
        for (var i = 0; i < results.Length; i++)
            results[i] = ToResult(Envelopes[i], outcomes[i]);
        Group.Complete(this, results, writes);
    }

    public void Fail(ErrorBody error) => Group.Complete(this, [.. Envelopes.Select(_ => new SendResult(null, error))]);

    public static SendResult ToResult(Envelope envelope, AppendOutcome outcome) => outcome.Status switch
    {
        AppendStatus.Stored or AppendStatus.Duplicate => new(
            new SendAck(envelope.RoomId, envelope.Id, outcome.Seq, outcome.CreatedAt, outcome.Status == AppendStatus.Duplicate), null),
        AppendStatus.NotMember => Refuse(ApiException.NotFound()),
        AppendStatus.IdTaken => Refuse(new(ErrorCode.Conflict, "This clientMessageId was used with other content. Choose a new one.")),
        AppendStatus.EpochAhead => Refuse(new(ErrorCode.WrongEpoch, "The room has not reached this epoch.") { CurrentEpoch = outcome.RoomEpoch }),
        AppendStatus.NotMls => Refuse(ApiException.Invalid(
            "The ciphertext must be a PrivateMessage of the room's MLS group and of this epoch, from 1 on, with an application message.", "ciphertext")),
        AppendStatus.RoomLocked => Refuse(ApiException.RoomBusy()),
        _ => Refuse(new(ErrorCode.EpochTooOld, "The room no longer accepts this epoch.") { CurrentEpoch = outcome.RoomEpoch }),
    };

    private static SendResult Refuse(ApiException exception) => new(null, exception.ToBody());
}
