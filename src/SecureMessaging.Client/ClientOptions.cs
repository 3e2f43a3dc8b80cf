using Microsoft.Extensions.Logging;

namespace SecureMessaging.Client;

/// <summary>How a <see cref="SecureMessagingClient"/> works. The defaults are for applications; tests replace the clock and the random numbers.</summary>
public sealed record ClientOptions
{
    /// <summary>
    /// The file that holds the session, the outbox and the cursors; created with mode 0600, its folder with 0700. It contains the refresh token.
    /// One process at a time should read events from it. Null: in memory, lost with the process.
    /// </summary>
    public string? StorePath { get; init; }

    /// <summary>Encrypts sent messages and decrypts received ones. The SDK sends no plaintext, so there is no default.</summary>
    public required IEnvelopeCipher Cipher { get; init; }

    /// <summary>Whether the hub uses JSON instead of MessagePack.</summary>
    public bool UseJson { get; init; }

    /// <summary>
    /// Whether <c>http://</c> to another machine is allowed. Then the network can read the password and the tokens, and act as the user. Without it only
    /// <c>https://</c> and addresses of this machine are allowed.
    /// </summary>
    public bool AllowUnencryptedHttp { get; init; }

    /// <summary>The most events that wait in memory for the application. When they are full, the SDK stops reading, and the rest stays on the server.</summary>
    public int EventBuffer { get; init; } = 1000;

    /// <summary>The most sends in the outbox. Beyond it, sending throws <see cref="Protocol.ErrorCode.Overloaded"/>.</summary>
    public int OutboxCapacity { get; init; } = 10_000;

    /// <summary>The longest wait between two attempts to connect. The first waits are shorter. Each wait is random from zero (full jitter).</summary>
    public TimeSpan MaxReconnectDelay { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How often the heads of all rooms are compared with the cursors, to find lost pushes.</summary>
    public TimeSpan HeadCheckInterval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The longest time for an answer of the server. Then the connection counts as broken.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Used for HTTP and for the WebSocket's upgrade, for trust in private certificates or a proxy. It must not follow redirects, which could
    /// send the password to another server: set <c>AllowAutoRedirect</c> to false. The caller disposes it. Null: the system's defaults.
    /// </summary>
    public HttpMessageHandler? HttpHandler { get; init; }

    /// <summary>The clock.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>The random numbers of the reconnect delays.</summary>
    public Random Random { get; init; } = Random.Shared;

    /// <summary>Receives the log: ids and counts, never content or tokens. Null: no log.</summary>
    public ILoggerFactory? LoggerFactory { get; init; }
}
