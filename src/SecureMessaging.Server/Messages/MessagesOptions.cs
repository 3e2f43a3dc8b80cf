using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.Messages;

/// <summary>Bounds of the group commit. Section <c>Messages</c>.</summary>
internal sealed class MessagesOptions
{
    public const string Section = "Messages";

    /// <summary>Calls that may wait for their commit; past it they are refused as overloaded.</summary>
    [Range(1, 1_000_000)]
    public int QueueLength { get; set; } = 10_000;

    /// <summary>Ciphertext bytes that may wait for their commit.</summary>
    [Range(1024, 1L << 32)]
    public long QueueBytes { get; set; } = 64 * 1024 * 1024;

    /// <summary>
    /// Handshakes stay at least this long, however short the room's time to live is: a device that was away for less can follow the group, one that was away for longer
    /// must be added anew.
    /// </summary>
    [Range(typeof(TimeSpan), "1.00:00:00", "366.00:00:00")]
    public TimeSpan HandshakeTimeToLive { get; set; } = TimeSpan.FromDays(30);

    /// <summary>Envelopes in one transaction.</summary>
    [Range(1, 10_000)]
    public int BatchLength { get; set; } = 512;
}
