namespace SecureMessaging.Server.Messages;

/// <summary>One envelope on its way into the log.</summary>
/// <param name="RoomId">Where to.</param>
/// <param name="UserId">From whom.</param>
/// <param name="Id">The sender's name for it.</param>
/// <param name="OwnerProof">Of the sender.</param>
/// <param name="Ciphertext">Opaque.</param>
/// <param name="Epoch">Of the room.</param>
/// <param name="TimeToLive">In seconds.</param>
/// <param name="Generation">Of the room's MLS group, as the ciphertext says; <see cref="NoGeneration"/> when it is not an application message of that group and epoch.</param>
internal sealed record Envelope(
    Guid RoomId, Guid UserId, Guid Id, byte[] OwnerProof, byte[] Ciphertext, long Epoch, int? TimeToLive, int Generation = Envelope.NoGeneration)
{
    public const int NoGeneration = -1;
}

internal enum AppendStatus
{
    Stored = 0,
    Duplicate = 1,
    NotMember = 2,
    IdTaken = 3,
    EpochAhead = 4,
    EpochTooOld = 5,

    /// <summary>Not what a room of the scheme mls10 takes.</summary>
    NotMls = 6,
}

/// <summary>What became of one envelope of a batch.</summary>
internal readonly record struct AppendOutcome
{
    public AppendStatus Status { get; init; }
    public long Seq { get; init; }
    public DateTime CreatedAt { get; init; }
    public DateTime? ExpiresAt { get; init; }
    public long RoomEpoch { get; init; }
    public bool Visible { get; init; }
}

/// <summary>
/// Appends a batch in one transaction: authorise, deduplicate, check the epoch, allocate seq, insert. The engines differ here in kind, so each has its own.
/// </summary>
internal interface IEnvelopeAppend
{
    /// <summary>
    /// No two envelopes of a batch may have the same room and id. Outcomes come in the order of the batch. Blocks: the writer has a thread of its own, which
    /// need not wait for its turn behind what a busy thread pool has queued.
    /// </summary>
    AppendOutcome[] Append(IReadOnlyList<Envelope> batch, DateTime now);

    /// <summary>Whether an envelope that failed alone with this exception fails every time, whatever is done about the server: its values were refused.</summary>
    bool IsDefinite(Exception exception);

    /// <summary>Application messages are accepted for this many epochs before the current one (members may not have seen the newest commit yet).</summary>
    const int PastEpochs = 3;
}
