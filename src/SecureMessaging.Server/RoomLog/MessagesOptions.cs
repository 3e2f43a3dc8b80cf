using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.RoomLog;

/// <summary>Bounds of the group commit. Section <c>Messages</c>.</summary>
internal sealed class MessagesOptions
{
    public const string Section = "Messages";

    /// <summary>Calls that may wait for their commit; more are rejected as overloaded.</summary>
    [Range(1, 1_000_000)]
    public int QueueLength { get; set; } = 10_000;

    /// <summary>Ciphertext bytes that may wait for their commit.</summary>
    [Range(1024, 1L << 32)]
    public long QueueBytes { get; set; } = 64 * 1024 * 1024;

    /// <summary>
    /// Handshakes stay at least this long, whatever the room's time to live. A device that was offline for less can follow the group; one that was
    /// offline for longer must be added again.
    /// </summary>
    [Range(typeof(TimeSpan), "1.00:00:00", "366.00:00:00")]
    public TimeSpan HandshakeTimeToLive { get; set; } = TimeSpan.FromDays(30);

    /// <summary>Most envelopes in one transaction.</summary>
    [Range(1, 10_000)]
    public int BatchLength { get; set; } = 512;
}
