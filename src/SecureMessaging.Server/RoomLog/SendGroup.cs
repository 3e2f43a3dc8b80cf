using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.RoomLog;

/// <summary>The envelopes of one call, and the result that their sender waits for. They stay together, so their order survives any failure.</summary>
/// <param name="envelopes">In the sender's order.</param>
/// <param name="queuedAt">A timestamp of the clock.</param>
/// <param name="writesOnly">Whether the continuation only writes a reply. The reply then leaves in one write with the entries of the batch.</param>
internal sealed class SendGroup(Envelope[] envelopes, long queuedAt, bool writesOnly)
{
    private readonly TaskCompletionSource<SendResult[]> completion =
        new(writesOnly ? TaskCreationOptions.None : TaskCreationOptions.RunContinuationsAsynchronously);

    public long QueuedAt => queuedAt;

    public Envelope[] Envelopes { get; } = envelopes;

    public long Bytes { get; } = envelopes.Sum(envelope => (long)envelope.Ciphertext.Length);

    public Task<SendResult[]> Completion => completion.Task;

    public void Complete(ReadOnlySpan<AppendOutcome> outcomes)
    {
        var results = new SendResult[outcomes.Length];
        for (var i = 0; i < results.Length; i++)
            results[i] = ToResult(Envelopes[i], outcomes[i]);
        Complete(results);
    }

    public void Complete(SendResult[] results)
    {
        // An error is thrown through all callers, which takes too long for the writer's thread.
        if (writesOnly && Array.Exists(results, result => result.Ack is null))
            ThreadPool.UnsafeQueueUserWorkItem(static item => item.completion.TrySetResult(item.results), (completion, results), preferLocal: false);
        else
            completion.TrySetResult(results);
    }

    public void Fail(ErrorBody error) => Complete([.. Envelopes.Select(_ => new SendResult(null, error))]);

    public static SendResult ToResult(Envelope envelope, AppendOutcome outcome) => outcome.Status switch
    {
        AppendStatus.Stored or AppendStatus.Duplicate => new(
            new SendAck(envelope.RoomId, envelope.Id, outcome.Seq, outcome.CreatedAt, outcome.Status == AppendStatus.Duplicate), null),
        AppendStatus.NotMember => Refuse(ApiException.NotFound()),
        AppendStatus.IdTaken => Refuse(new(ErrorCode.Conflict, "This clientMessageId was used with other content. Choose a new one.")),
        AppendStatus.EpochAhead => Refuse(new(ErrorCode.WrongEpoch, "The room has not reached this epoch.") { CurrentEpoch = outcome.RoomEpoch }),
        AppendStatus.NotMls => Refuse(ApiException.Invalid(
            "The ciphertext must be a PrivateMessage of the room's MLS group and of this epoch, from 1 on, with an application message.", "ciphertext")),
        _ => Refuse(new(ErrorCode.EpochTooOld, "The room no longer accepts this epoch.") { CurrentEpoch = outcome.RoomEpoch }),
    };

    private static SendResult Refuse(ApiException exception) => new(null, exception.ToBody());
}
