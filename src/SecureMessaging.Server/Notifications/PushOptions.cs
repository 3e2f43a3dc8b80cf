using System.ComponentModel.DataAnnotations;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Notifications;

/// <summary>Web Push without content. Section <c>Push</c>.</summary>
internal sealed class PushOptions
{
    public const string Section = "Push";

    /// <summary>Off: the server creates no key, accepts no endpoint and sends nothing.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>
    /// The operator's address for push services (RFC 8292 section 2.1): a <c>mailto:</c> or <c>https:</c> URI. Some services reject pushes without it, so the
    /// server warns at start.
    /// </summary>
    public string? Contact { get; set; }

    /// <summary>Origins that are allowed although they are not public, not on port 443, or without TLS, such as an own push service.</summary>
    public IList<string> AllowedOrigins { get; } = [];

    /// <summary>At most one push to a session in this time, unless it has connected meanwhile.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>A push service keeps a push for an offline device for this time (RFC 8030 section 5.2).</summary>
    [Range(typeof(TimeSpan), "00:00:00", "28.00:00:00")]
    public TimeSpan TimeToLive { get; set; } = TimeSpan.FromDays(1);

    /// <summary>Time limit of one push, from the DNS look-up to the response.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:01:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);

    [Range(1, 1024)]
    public int Concurrency { get; set; } = 16;

    public bool HasContact => !string.IsNullOrEmpty(Contact);

    public bool IsContactUsable =>
        !HasContact || (Uri.TryCreate(Contact, UriKind.Absolute, out var uri) && (uri.Scheme == Uri.UriSchemeMailto || uri.Scheme == Uri.UriSchemeHttps));

    public bool AreOriginsUsable => AllowedOrigins.All(OriginCheck.IsOrigin);
}
