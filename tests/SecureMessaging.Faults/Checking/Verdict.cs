namespace SecureMessaging.Faults.Checking;

/// <summary>What can be wrong with a history.</summary>
internal enum Violation
{
    /// <summary>Acknowledged, but not in the log, or not seen by a member (I1).</summary>
    Lost,

    /// <summary>The same content twice in a log, or acknowledged at two places (I2).</summary>
    Duplicated,

    /// <summary>A sender's entries stand in the log in another order than they were sent (I5).</summary>
    Reordered,

    /// <summary>In a log or before a member's eyes, though it failed or was never sent (I4).</summary>
    Phantom,

    /// <summary>A log's seq is not contiguous (I3).</summary>
    SeqGap,

    /// <summary>Two observers, or one observer and the log, differ on what stands at a seq (I3).</summary>
    Mismatch,

    /// <summary>A client without SDK did not receive an ordered log without gap and repeat while it was connected.</summary>
    Wire,

    /// <summary>A page leaves out entries without announcing it (I6).</summary>
    CursorSkip,

    /// <summary>Seen by one who was not a member there (I7).</summary>
    Leaked,

    /// <summary>A send ended neither as ack nor as definite failure, although it was repeated until the end (I8).</summary>
    Unconverged,
}

/// <summary>The checker's judgement of one history.</summary>
internal sealed class Verdict
{
    private const int MaxExamples = 6;
    private readonly int[] counts = new int[Enum.GetValues<Violation>().Length];

    public int Acked { get; set; }

    public List<string> Examples { get; } = [];

    public bool Clean => Array.TrueForAll(counts, count => count == 0);

    /// <summary>Everything beyond the four figures of the report.</summary>
    public int Other => counts.Sum() - this[Violation.Lost] - this[Violation.Duplicated] - this[Violation.Reordered] - this[Violation.Phantom];

    public int this[Violation violation] => counts[(int)violation];

    public void Add(Violation violation, string example)
    {
        if (counts[(int)violation]++ < MaxExamples)
            Examples.Add($"{violation}: {example}");
    }

    public override string ToString() => Clean
        ? "clean"
        : string.Join(", ", Enum.GetValues<Violation>().Where(violation => this[violation] > 0).Select(violation => $"{violation} {this[violation]}"));
}
