using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace SecureMessaging.Tests.Client;

/// <summary>One line of a client's transcript. The client process writes it, the test checks it.</summary>
/// <param name="Event">The event.</param>
/// <param name="At">Milliseconds since 1970, by the machine's clock.</param>
/// <param name="RoomId">The room.</param>
/// <param name="Id">The clientMessageId; null for entries that are not messages.</param>
/// <param name="Seq">The seq of the ack or entry; 0 if there is none yet.</param>
/// <param name="Sender">The sender, as the receiver sees it.</param>
/// <param name="TextHash">Of the plaintext.</param>
public sealed record TranscriptLine(TranscriptEvent Event, long At, Guid RoomId, Guid? Id = null, long Seq = 0, string? Sender = null, string? TextHash = null);

public enum TranscriptEvent
{
    /// <summary>Passed to the SDK, in this order.</summary>
    Sent = 0,

    /// <summary>The SDK reported it as durable at this seq.</summary>
    Acknowledged = 1,

    /// <summary>The SDK delivered it to the application.</summary>
    Received = 2,
}

/// <summary>The events of one client, in their order.</summary>
/// <param name="Client">Its name.</param>
/// <param name="Rooms">Its rooms.</param>
/// <param name="Lines">The transcript.</param>
public sealed record Transcript(string Client, IReadOnlyList<Guid> Rooms, IReadOnlyList<TranscriptLine> Lines)
{
    public static Transcript Read(string client, IReadOnlyList<Guid> rooms, string file) =>
        new(client, rooms, [.. File.ReadLines(file).Select(line => JsonSerializer.Deserialize<TranscriptLine>(line)!)]);

    public static string HashOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 8));
}
