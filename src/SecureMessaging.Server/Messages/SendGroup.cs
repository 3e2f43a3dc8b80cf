using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Messages;

/// <summary>The envelopes of one call that go the same way, which stay together so that their order survives any failure, and the answer their sender waits for.</summary>
/// <param name="envelopes">In the order that they were given in.</param>
/// <param name="queuedAt">When, as a timestamp of the clock.</param>
internal sealed class SendGroup(Envelope[] envelopes, long queuedAt)
{
    public long QueuedAt => queuedAt;

    public Envelope[] Envelopes { get; } = envelopes;

    public long Bytes { get; } = envelopes.Sum(envelope => (long)envelope.Ciphertext.Length);

    public TaskCompletionSource<SendResult[]> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Complete(ReadOnlySpan<AppendOutcome> outcomes)
    {
        var results = new SendResult[outcomes.Length];
        for (var i = 0; i < results.Length; i++)
            results[i] = ToResult(Envelopes[i], outcomes[i]);
        Completion.TrySetResult(results);
    }

    public void Fail(ErrorBody error) => Completion.TrySetResult([.. Envelopes.Select(_ => new SendResult(null, error))]);

    public static SendResult ToResult(Envelope envelope, AppendOutcome outcome) => outcome.Status switch
    {
        AppendStatus.Stored or AppendStatus.Duplicate => new(
            new SendAck(envelope.RoomId, envelope.Id, outcome.Seq, outcome.CreatedAt, outcome.Status == AppendStatus.Duplicate), null),
        AppendStatus.NotMember => Refuse(ApiException.NotFound()),
        AppendStatus.IdTaken => Refuse(new(ErrorCode.Conflict, "This clientMessageId is taken by other content.")),
        AppendStatus.EpochAhead => Refuse(new(ErrorCode.WrongEpoch, "The room has not reached this epoch.") { CurrentEpoch = outcome.RoomEpoch }),
        AppendStatus.NotMls => Refuse(ApiException.Invalid("The ciphertext must be a PrivateMessage of the room's MLS group and of this epoch, from 1 on, with an application message.")),
        _ => Refuse(new(ErrorCode.EpochTooOld, "The room no longer accepts this epoch.") { CurrentEpoch = outcome.RoomEpoch }),
    };

    private static SendResult Refuse(ApiException exception) => new(null, exception.ToBody());
}
