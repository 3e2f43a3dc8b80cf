namespace SecureMessaging.Faults.Checking;

/// <summary>What can be wrong with a history.</summary>
internal enum Violation
{
    /// <summary>Acknowledged, but not in the log, or not seen by a member.</summary>
    Lost,

    /// <summary>The same content twice in a log, or one id acknowledged with two seqs.</summary>
    Duplicated,

    /// <summary>A sender's entries have another order in the log than they were sent.</summary>
    Reordered,

    /// <summary>In a log, or seen by a member, although it failed or was never sent.</summary>
    Phantom,

    /// <summary>A log's seq is not contiguous.</summary>
    SeqGap,

    /// <summary>Two observers, or one observer and the log, disagree about the entry at a seq.</summary>
    Mismatch,

    /// <summary>A connected client without SDK got an entry out of order, twice or not at all.</summary>
    Wire,

    /// <summary>A page leaves out entries without announcing it.</summary>
    CursorSkip,

    /// <summary>An entry that a non-member saw.</summary>
    Leaked,

    /// <summary>A send ended neither as ack nor as definite failure, although it was repeated until the end.</summary>
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
