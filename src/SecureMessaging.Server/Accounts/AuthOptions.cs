using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.Accounts;

/// <summary>Lifetimes of credentials and costs of password hashes. Section <c>Auth</c>.</summary>
internal sealed class AuthOptions
{
    public const string Section = "Auth";

    [Required]
    public string Issuer { get; set; } = "secure-messaging";

    [Required]
    public string Audience { get; set; } = "secure-messaging";

    [Range(typeof(TimeSpan), "00:00:30", "01:00:00")]
    public TimeSpan AccessTokenLifetime { get; set; } = TimeSpan.FromMinutes(10);

    [Range(typeof(TimeSpan), "00:00:05", "00:05:00")]
    public TimeSpan TicketLifetime { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>A session without a refresh ends after this time.</summary>
    [Range(typeof(TimeSpan), "1.00:00:00", "365.00:00:00")]
    public TimeSpan RefreshTokenLifetime { get; set; } = TimeSpan.FromDays(30);

    /// <summary>A session ends after this time at the latest.</summary>
    [Range(typeof(TimeSpan), "1.00:00:00", "365.00:00:00")]
    public TimeSpan SessionLifetime { get; set; } = TimeSpan.FromDays(90);

    [Range(typeof(TimeSpan), "01:00:00", "365.00:00:00")]
    public TimeSpan KeyRotation { get; set; } = TimeSpan.FromDays(90);

    /// <summary>A key is published for this time before it signs, so that every node and every reader of the JWKS knows it by then.</summary>
    [Range(typeof(TimeSpan), "00:15:00", "30.00:00:00")]
    public TimeSpan KeyPublishLead { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>A key is kept for this time after its last token expires, for clocks that differ.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "1.00:00:00")]
    public TimeSpan KeyRetireMargin { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Memory of one Argon2id hash. The lowest value is OWASP's minimum for two passes.</summary>
    [Range(19_456, 1_048_576)]
    public int HashMemoryKiB { get; set; } = 19_456;

    [Range(2, 16)]
    public int HashPasses { get; set; } = 2;

    /// <summary>Requests that may wait for a hash. More are rejected with <c>Overloaded</c>.</summary>
    [Range(1, 10_000)]
    public int HashQueue { get; set; } = 64;

    /// <summary>Failed sign-ins for one name before each further one must wait, twice as long each time.</summary>
    [Range(1, 1000)]
    public int FailuresBeforeBackoff { get; set; } = 10;
}
