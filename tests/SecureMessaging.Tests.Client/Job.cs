namespace SecureMessaging.Tests.Client;

/// <summary>The work of one client process: the first line of its standard input, as JSON.</summary>
/// <param name="Url">The server.</param>
/// <param name="Username">An existing account.</param>
/// <param name="Password">Its password.</param>
/// <param name="Rooms">Rooms of the account; it sends to them in turn.</param>
/// <param name="Keys">The key of each room.</param>
/// <param name="Messages">The number of messages to send.</param>
/// <param name="InFlight">The number of unacknowledged messages at a time.</param>
/// <param name="Texts">A file with one text per line.</param>
/// <param name="Seed">Selects the texts.</param>
/// <param name="Transcript">The file to write.</param>
/// <param name="StorePath">The SDK's file; null: outbox and cursors stay in memory.</param>
public sealed record Job(
    Uri Url, string Username, string Password, Guid[] Rooms, string[] Keys, int Messages, int InFlight, string Texts, int Seed, string Transcript,
    string? StorePath);

/// <summary>The protocol between a client process and the test, one line per message.</summary>
public static class Talk
{
    /// <summary>Client: connected and synced with all rooms.</summary>
    public const string Ready = "ready";

    /// <summary>Test: send.</summary>
    public const string Go = "go";

    /// <summary>Client: the number of acknowledged sends.</summary>
    public const string Acknowledged = "acknowledged ";

    /// <summary>Test: end when all entries up to these heads (JSON, by room) are received.</summary>
    public const string Finish = "finish ";
}
