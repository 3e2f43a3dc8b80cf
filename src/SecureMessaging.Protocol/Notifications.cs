using System.Runtime.Serialization;

namespace SecureMessaging.Protocol;

/// <summary>How much a message may disturb.</summary>
public enum NotificationPriority
{
    /// <summary>A priority of a later version. Only readers know it: a request that carries it is refused.</summary>
    [EnumMember(Value = "unknown")] Unknown = -1,

    /// <summary>Waits until the device is in use anyway (RFC 8030 section 5.3, urgency <c>low</c>).</summary>
    [EnumMember(Value = "low")] Low = 0,

    /// <summary>Wakes the device (urgency <c>normal</c>).</summary>
    [EnumMember(Value = "normal")] Normal = 1,

    /// <summary>Wakes the device also when its battery is low (urgency <c>high</c>), and in quiet hours. What is muted stays mute.</summary>
    [EnumMember(Value = "high")] High = 2,
}

/// <summary>
/// <c>PUT /v1/me/settings</c> and <c>PUT /v1/me/settings/rooms/{roomId}</c>: when messages may wake the caller's devices. The settings of a room stand in
/// for those of everywhere as a whole, quiet hours included.
/// </summary>
/// <param name="Muted">No message wakes a device.</param>
/// <param name="QuietFrom">Minute of the day, 0 to 1439, with which quiet hours begin. Given with <paramref name="QuietUntil"/> and <paramref name="TimeZone"/> or not at all.</param>
/// <param name="QuietUntil">Minute of the day before which they end; when it is the smaller of the two, on the next day. Never the same as <paramref name="QuietFrom"/>.</param>
/// <param name="TimeZone">The clock by which they go: a name of the IANA time zone database, such as <c>Europe/Vienna</c>, or <c>UTC</c>.</param>
/// <param name="Priority">How urgent a push is.</param>
public sealed record NotificationSettings(
    bool Muted = false, int? QuietFrom = null, int? QuietUntil = null, string? TimeZone = null, NotificationPriority Priority = NotificationPriority.Normal);

/// <summary><c>GET /v1/me/settings</c>.</summary>
/// <param name="Everywhere">For every room that has none of its own.</param>
/// <param name="Rooms">Those of rooms, by room id.</param>
/// <param name="Push">What a client needs to subscribe to Web Push.</param>
public sealed record AccountSettings(NotificationSettings Everywhere, IReadOnlyDictionary<Guid, NotificationSettings> Rooms, PushStatus Push);

/// <summary>Web Push (RFC 8030) as this server and this session have it.</summary>
/// <param name="PublicKey">
/// The server's VAPID key (RFC 8292 section 3.2): the uncompressed P-256 point in base64url without padding, as <c>applicationServerKey</c> takes it.
/// Null: the server pushes nothing.
/// </param>
/// <param name="Registered">Whether the caller's session has an endpoint.</param>
public sealed record PushStatus(string? PublicKey, bool Registered);

/// <summary>
/// <c>PUT /v1/me/push</c>: where the push service of this session's browser takes messages. Bound to the session and gone with it. What is pushed there has
/// no content: it says that there is something to fetch, and nothing else.
/// </summary>
/// <param name="Endpoint">
/// <c>PushSubscription.endpoint</c> (W3C Push API section 8): an https URL of a public host on port 443, at most <see cref="Limits.PushEndpointCharacters"/> characters.
/// Its keys are not asked for, because nothing is encrypted for them.
/// </param>
public sealed record RegisterPushRequest(string Endpoint)
{
    private bool PrintMembers(System.Text.StringBuilder builder) => Redaction.Print(builder, nameof(Endpoint));
}
