using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace SecureMessaging.Tests.Client;

/// <summary>One line of a client's transcript. Written by the client's process, judged by the test's.</summary>
/// <param name="Event">What happened.</param>
/// <param name="At">Milliseconds since 1970, by the machine's one clock.</param>
/// <param name="RoomId">Where.</param>
/// <param name="Id">The send's clientMessageId; null for entries that are no messages.</param>
/// <param name="Seq">The place in the log: of the ack, or of the entry; 0 when there is none yet.</param>
/// <param name="Sender">Whom the receiver takes for the sender.</param>
/// <param name="TextHash">Of the plaintext.</param>
public sealed record TranscriptLine(TranscriptEvent Event, long At, Guid RoomId, Guid? Id = null, long Seq = 0, string? Sender = null, string? TextHash = null);

public enum TranscriptEvent
{
    /// <summary>Handed to the SDK, in this order.</summary>
    Sent = 0,

    /// <summary>The SDK says it is durable at this seq.</summary>
    Acknowledged = 1,

    /// <summary>The SDK delivered it to the application.</summary>
    Received = 2,
}

/// <summary>What one client says happened, in the order in which it happened.</summary>
/// <param name="Client">Its name.</param>
/// <param name="Rooms">The rooms it is a member of.</param>
/// <param name="Lines">The transcript.</param>
public sealed record Transcript(string Client, IReadOnlyList<Guid> Rooms, IReadOnlyList<TranscriptLine> Lines)
{
    public static Transcript Read(string client, IReadOnlyList<Guid> rooms, string file) =>
        new(client, rooms, [.. File.ReadLines(file).Select(line => JsonSerializer.Deserialize<TranscriptLine>(line)!)]);

    public static string HashOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 8));
}
