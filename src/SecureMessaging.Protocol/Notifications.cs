using System.Runtime.Serialization;

namespace SecureMessaging.Protocol;

/// <summary>How urgently a message wakes a device.</summary>
public enum NotificationPriority
{
    /// <summary>A priority of a later version. Readers only: the server rejects requests that contain it.</summary>
    [EnumMember(Value = "unknown")] Unknown = -1,

    /// <summary>Waits until the device is in use (RFC 8030 section 5.3, urgency <c>low</c>).</summary>
    [EnumMember(Value = "low")] Low = 0,

    /// <summary>Wakes the device (urgency <c>normal</c>).</summary>
    [EnumMember(Value = "normal")] Normal = 1,

    /// <summary>Wakes the device also when its battery is low (urgency <c>high</c>), and in quiet hours. Muted rooms stay silent.</summary>
    [EnumMember(Value = "high")] High = 2,
}

/// <summary>
/// <c>PUT /v1/me/settings</c> and <c>PUT /v1/me/settings/rooms/{roomId}</c>: when messages may wake the caller's devices. The settings of a room
/// replace the general ones completely, including the quiet hours.
/// </summary>
/// <param name="Muted">No message wakes a device.</param>
/// <param name="QuietFrom">
/// Minute of the day when quiet hours begin, 0 to 1439. Given together with <paramref name="QuietUntil"/> and <paramref name="TimeZone"/>, or not at all.
/// </param>
/// <param name="QuietUntil">
/// Minute of the day before which they end; on the next day when it is the smaller of the two. Never equal to <paramref name="QuietFrom"/>.
/// </param>
/// <param name="TimeZone">The clock of the quiet hours: a name of the IANA time zone database, such as <c>Europe/Vienna</c>, or <c>UTC</c>.</param>
/// <param name="Priority">The urgency of a push.</param>
public sealed record NotificationSettings(
    bool Muted = false, int? QuietFrom = null, int? QuietUntil = null, string? TimeZone = null, NotificationPriority Priority = NotificationPriority.Normal);

/// <summary><c>GET /v1/me/settings</c>.</summary>
/// <param name="Everywhere">For each room without its own settings.</param>
/// <param name="Rooms">The settings of rooms, by room id.</param>
/// <param name="Push">What a client needs to subscribe to Web Push.</param>
public sealed record AccountSettings(NotificationSettings Everywhere, IReadOnlyDictionary<Guid, NotificationSettings> Rooms, PushStatus Push);

/// <summary>The state of Web Push (RFC 8030) for this server and session.</summary>
/// <param name="PublicKey">
/// The server's VAPID key (RFC 8292 section 3.2): the uncompressed P-256 point in base64url without padding, as <c>applicationServerKey</c> takes it.
/// Null: the server sends no pushes.
/// </param>
/// <param name="Registered">Whether the caller's session has an endpoint.</param>
public sealed record PushStatus(string? PublicKey, bool Registered);

/// <summary>
/// <c>PUT /v1/me/push</c>: the endpoint of the push service of this session's browser. It ends with the session. A push has no content: it only
/// tells the browser to fetch.
/// </summary>
/// <param name="Endpoint">
/// <c>PushSubscription.endpoint</c> (W3C Push API section 8): an https URL of a public host on port 443, at most
/// <see cref="Limits.PushEndpointCharacters"/> characters.
/// Its keys are not needed, because a push has no content.
/// </param>
public sealed record RegisterPushRequest(string Endpoint)
{
    private bool PrintMembers(System.Text.StringBuilder builder) => Redaction.Print(builder, nameof(Endpoint));
}
