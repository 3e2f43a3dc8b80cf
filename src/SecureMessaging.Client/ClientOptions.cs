using Microsoft.Extensions.Logging;

namespace SecureMessaging.Client;

/// <summary>How a <see cref="SecureMessagingClient"/> works. The defaults suit an application; tests replace the clock and the dice.</summary>
public sealed record ClientOptions
{
    /// <summary>
    /// The file that holds the session, the outbox and the cursors; created with mode 0600, its folder with 0700. It contains the refresh token.
    /// One process at a time should read events from it. Null: memory, and nothing survives the process.
    /// </summary>
    public string? StorePath { get; init; }

    /// <summary>Seals what is sent and opens what arrives. The SDK sends no plaintext, so there is no default.</summary>
    public required IEnvelopeCipher Cipher { get; init; }

    /// <summary>Whether the hub speaks JSON in place of MessagePack.</summary>
    public bool UseJson { get; init; }

    /// <summary>
    /// Whether <c>http://</c> may lead to another machine. Then everyone on the way reads the password and the tokens, and can act as the user. Without it the
    /// only addresses are <c>https://</c> and those of this machine.
    /// </summary>
    public bool AllowUnencryptedHttp { get; init; }

    /// <summary>Most events that wait for the application in memory. When they are full the SDK stops reading, and the server keeps the rest.</summary>
    public int EventBuffer { get; init; } = 1000;

    /// <summary>Most sends that wait in the outbox. Past it sending throws <see cref="Protocol.ErrorCode.Overloaded"/>.</summary>
    public int OutboxCapacity { get; init; } = 10_000;

    /// <summary>Longest wait between two attempts to connect; the first waits are shorter. Every wait is random from zero up (full jitter).</summary>
    public TimeSpan MaxReconnectDelay { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How often the heads of all rooms are compared with the cursors, should a push ever have been lost.</summary>
    public TimeSpan HeadCheckInterval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long one answer of the server may take before the connection counts as broken.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Used for HTTP and for the WebSocket's upgrade, for trust in private certificates or a proxy. It must not follow redirects, which would carry the password
    /// elsewhere: set <c>AllowAutoRedirect</c> to false. Stays the caller's to dispose. Null: the system's defaults.
    /// </summary>
    public HttpMessageHandler? HttpHandler { get; init; }

    /// <summary>The clock.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>The dice of the reconnect delays.</summary>
    public Random Random { get; init; } = Random.Shared;

    /// <summary>Where to log: ids and counts, never content or tokens. Null: nowhere.</summary>
    public ILoggerFactory? LoggerFactory { get; init; }
}
