using SecureMessaging.Protocol;

namespace SecureMessaging.Faults.History;

internal enum Outcome : byte
{
    /// <summary>No answer arrived.</summary>
    Unknown = 0,

    /// <summary>The server says that it is stored.</summary>
    Acked = 1,

    /// <summary>The server says that it is not stored, and no attempt ended without an answer.</summary>
    Failed = 2,
}

/// <summary>One send from its first attempt to its last answer. Times are Stopwatch ticks.</summary>
internal record struct Send(short Room, Guid Id, int Counter, ulong Hash, long Start)
{
    public long End { get; set; }
    public long Seq { get; set; }
    public Outcome Outcome { get; set; }
    public bool WasUnknown { get; set; }

    /// <summary>A later ack of the same id named another seq.</summary>
    public bool AckedTwice { get; set; }
}

internal enum Seen : byte
{
    /// <summary>A connection began; what follows came over it.</summary>
    Connected,

    /// <summary>An answer of Heads: the room's log ends at Seq.</summary>
    Head,

    /// <summary>An entry of a <c>Received</c> message.</summary>
    Pushed,

    /// <summary>A page of Sync: after Seq; Extra is its FirstSeq, Hash the number of <see cref="Read"/> that follow.</summary>
    Page,

    /// <summary>An entry of a page.</summary>
    Read,

    /// <summary>The server left entries out, and said so.</summary>
    Resync,
}

/// <summary>A message of the server to a client.</summary>
internal readonly record struct Observation(Seen What, short Room, long Seq, long Extra, Guid Id, ulong Hash, EntryKind Kind, long At);

/// <summary>An entry of a room's log as it was read in the end.</summary>
/// <param name="Sender">Index of the client that wrote it, or -1.</param>
/// <param name="Counter">The sender's counter inside the ciphertext.</param>
/// <param name="About">Of a roster entry: index of the account it is about, or -1.</param>
internal readonly record struct LogRow(long Seq, EntryKind Kind, Guid Id, ulong Hash, int Sender, int Counter, int About);

/// <summary>Everything one client did and saw, in its own order.</summary>
/// <param name="member">Whose connection it is, as index of the account.</param>
internal sealed class ClientHistory(int member)
{
    public int Member => member;

    public List<Send> Sends { get; } = [];

    public List<Observation> Seen { get; } = [];

    /// <summary>What the client itself found wrong, such as a send that never converged.</summary>
    public List<string> Complaints { get; } = [];
}

/// <summary>What the checker judges.</summary>
internal sealed record RoundHistory(ClientHistory[] Clients, LogRow[][] Logs);
