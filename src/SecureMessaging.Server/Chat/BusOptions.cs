using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.Chat;

/// <summary>How nodes share a Redis. Section <c>Redis</c>; where it is, with TLS and credentials, says <c>ConnectionStrings:Redis</c>.</summary>
internal sealed class BusOptions
{
    public const string Section = "Redis";

    /// <summary>Begins the names of all channels, so that installations can share a Redis.</summary>
    [Required, RegularExpression("^[A-Za-z0-9:._-]{1,64}$")]
    public string ChannelPrefix { get; set; } = "secure-messaging";
}
