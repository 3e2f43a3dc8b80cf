namespace SecureMessaging.Server.RoomLog;

/// <summary>One envelope to append to a room's log.</summary>
/// <param name="RoomId">The room.</param>
/// <param name="UserId">The sender.</param>
/// <param name="Id">The client message id, unique in the room.</param>
/// <param name="OwnerProof">See <see cref="RoomLog.OwnerProof"/>.</param>
/// <param name="Ciphertext">Opaque to the server.</param>
/// <param name="Epoch">The room's epoch at the sender.</param>
/// <param name="TimeToLive">In seconds.</param>
/// <param name="Generation">The MLS group's generation in the ciphertext; <see cref="NoGeneration"/> if it is no application message of this group
/// and epoch.</param>
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
    NotMls = 6,

    /// <summary>Another transaction has locked the room: the envelope must wait. All envelopes of a batch to one room have this status, or none has.</summary>
    RoomLocked = 7,
}

/// <summary>The result for one envelope of a batch.</summary>
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
/// Appends a batch in one transaction: authorise, deduplicate, check the epoch, allocate seq, insert. Each engine has its own implementation.
/// </summary>
internal interface IEnvelopeAppend
{
    /// <summary>Returns the outcomes in the order of the batch. No two envelopes of a batch may have the same room and id.</summary>
    /// <remarks>Blocking, because the writer has its own thread: it never queues behind the work of a busy thread pool.</remarks>
    AppendOutcome[] Append(IReadOnlyList<Envelope> batch, DateTime now);

    /// <summary>Whether an envelope that fails alone with this exception fails at every attempt, because the database rejects its values.</summary>
    bool IsDefinite(Exception exception);

    /// <summary>Application messages are accepted for this many past epochs, because members may not have the newest commit yet.</summary>
    const int PastEpochs = 3;
}
