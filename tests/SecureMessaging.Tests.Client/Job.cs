namespace SecureMessaging.Tests.Client;

/// <summary>What one client process is to do: the first line of its standard input, as JSON.</summary>
/// <param name="Url">The server.</param>
/// <param name="Username">Signed up already.</param>
/// <param name="Password">Of this test's account.</param>
/// <param name="Rooms">Where it is a member; it sends to them in turn.</param>
/// <param name="Keys">The key of each of these rooms.</param>
/// <param name="Messages">How many it sends.</param>
/// <param name="InFlight">How many of them it leaves unacknowledged at a time.</param>
/// <param name="Texts">A file of texts, one a line.</param>
/// <param name="Seed">Which texts it takes.</param>
/// <param name="Transcript">The file it writes.</param>
/// <param name="StorePath">The SDK's file; null: it keeps outbox and cursors in memory.</param>
public sealed record Job(
    Uri Url, string Username, string Password, Guid[] Rooms, string[] Keys, int Messages, int InFlight, string Texts, int Seed, string Transcript, string? StorePath);

/// <summary>What a client process and the test say to each other, a line each.</summary>
public static class Talk
{
    /// <summary>Client: connected and in step with all rooms.</summary>
    public const string Ready = "ready";

    /// <summary>Test: send.</summary>
    public const string Go = "go";

    /// <summary>Client: so many sends are acknowledged by now.</summary>
    public const string Acknowledged = "acknowledged ";

    /// <summary>Test: end when everything up to these heads (JSON, by room) has been received.</summary>
    public const string Finish = "finish ";
}
