using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.Cluster;

/// <summary>How nodes share a Redis. Section <c>Redis</c>; its address, TLS and credentials are in <c>ConnectionStrings:Redis</c>.</summary>
internal sealed class BusOptions
{
    public const string Section = "Redis";

    /// <summary>Prefix of all channel names, so that several installations can share a Redis.</summary>
    [Required, RegularExpression("^[A-Za-z0-9:._-]{1,64}$")]
    public string ChannelPrefix { get; set; } = "secure-messaging";
}
