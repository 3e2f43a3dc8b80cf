using System.ComponentModel.DataAnnotations;
using SecureMessaging.Server.Auth;

namespace SecureMessaging.Server.Notifications;

/// <summary>Web Push without content. Section <c>Push</c>.</summary>
internal sealed class PushOptions
{
    public const string Section = "Push";

    /// <summary>Off: no key is made, no endpoint is taken, nothing leaves the server.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Where push services reach the operator (RFC 8292 section 2.1): a <c>mailto:</c> or <c>https:</c> URI. Some refuse pushes without it, so its absence is warned about at start.</summary>
    public string? Contact { get; set; }

    /// <summary>Origins that may be pushed to although they are not public, not on port 443, or without TLS: a push service of one's own.</summary>
    public IList<string> AllowedOrigins { get; } = [];

    /// <summary>A session is woken once in this time at most, unless it has connected meanwhile.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a push service keeps a push for a device that is off (RFC 8030 section 5.2).</summary>
    [Range(typeof(TimeSpan), "00:00:00", "28.00:00:00")]
    public TimeSpan TimeToLive { get; set; } = TimeSpan.FromDays(1);

    /// <summary>How long one push may take, from the look-up of the name to the answer.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:01:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Pushes under way at one time.</summary>
    [Range(1, 1024)]
    public int Concurrency { get; set; } = 16;

    public bool HasContact => !string.IsNullOrEmpty(Contact);

    public bool IsContactUsable =>
        !HasContact || (Uri.TryCreate(Contact, UriKind.Absolute, out var uri) && (uri.Scheme == Uri.UriSchemeMailto || uri.Scheme == Uri.UriSchemeHttps));

    public bool AreOriginsUsable => AllowedOrigins.All(OriginCheck.IsOrigin);
}
