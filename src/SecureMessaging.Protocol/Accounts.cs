using System.Text.Json.Serialization;

namespace SecureMessaging.Protocol;

/// <summary><c>POST /v1/auth/sign-up</c>. Replies 201 with a <see cref="TokenResponse"/>.</summary>
/// <param name="Username">3 to 32 of <c>a-z 0-9 . _ -</c>; upper case is folded to lower.</param>
/// <param name="Email">Stored encrypted, and shown only to its owner.</param>
/// <param name="Password">10 to 256 characters (NIST SP 800-63B section 5.1.1: length, no composition rules).</param>
public sealed record SignUpRequest(string Username, string Email, string Password)
{
    private bool PrintMembers(System.Text.StringBuilder builder) => Redaction.Print(builder, nameof(Username));
}

/// <summary><c>POST /v1/auth/token</c>: sign in. Replies 200 with a <see cref="TokenResponse"/>.</summary>
/// <param name="Username">Username or e-mail address.</param>
/// <param name="Password">The account's password.</param>
public sealed record TokenRequest(string Username, string Password)
{
    private bool PrintMembers(System.Text.StringBuilder builder) => Redaction.Print(builder, nameof(Username));
}

/// <summary><c>POST /v1/auth/refresh</c>. Replies 200 with a <see cref="TokenResponse"/>.</summary>
/// <param name="RefreshToken">The newest refresh token of the session.</param>
public sealed record RefreshRequest(string RefreshToken)
{
    private bool PrintMembers(System.Text.StringBuilder builder) => Redaction.Print(builder, nameof(RefreshToken));
}

/// <summary>The tokens of a session (RFC 6749 section 5.1).</summary>
/// <param name="UserId">The account's id.</param>
/// <param name="Username">The account's username, folded.</param>
/// <param name="SessionId">The session, also the token's <c>sid</c>.</param>
/// <param name="AccessToken">JWT (RFC 9068) to be sent as <c>Authorization: Bearer</c>.</param>
/// <param name="ExpiresIn">Seconds until the access token expires.</param>
/// <param name="RefreshToken">Opaque, single use: each refresh returns the next one.</param>
/// <param name="SessionExpiresAt">When the session ends at the latest (UTC).</param>
public sealed record TokenResponse(
    Guid UserId, string Username, Guid SessionId, string AccessToken, int ExpiresIn, string RefreshToken, DateTime SessionExpiresAt)
{
    private bool PrintMembers(System.Text.StringBuilder builder) => Redaction.Print(builder, nameof(AccessToken));
}

/// <summary><c>POST /v1/auth/ticket</c>: a ticket that replaces the token in a WebSocket URL.</summary>
/// <param name="Ticket">Opaque, single use.</param>
/// <param name="ExpiresIn">Seconds until the ticket expires.</param>
public sealed record TicketResponse(string Ticket, int ExpiresIn)
{
    private bool PrintMembers(System.Text.StringBuilder builder) => Redaction.Print(builder, nameof(Ticket));
}

/// <summary><c>GET /v1/me</c>.</summary>
/// <param name="Id">The account's id.</param>
/// <param name="Username">The account's username.</param>
/// <param name="Email">The address as given; only its owner sees it.</param>
/// <param name="CreatedOn">The day of sign-up (UTC).</param>
/// <param name="Role"><c>user</c> or <c>admin</c> (of the server, not of a room).</param>
public sealed record Profile(Guid Id, string Username, string Email, DateTime CreatedOn, string Role)
{
    private bool PrintMembers(System.Text.StringBuilder builder) => Redaction.Print(builder, nameof(Email));
}

/// <summary><c>PATCH /v1/me</c> (RFC 7396): missing members stay as they are. The address can be used to sign in, so a change needs the password.</summary>
public sealed record UpdateProfileRequest : IPatch
{
    /// <summary>Changes nothing.</summary>
    [JsonConstructor]
    public UpdateProfileRequest()
    {
    }

    /// <summary>Changes the address.</summary>
    public UpdateProfileRequest(string email, string password) => (Email, Password) = (email, password);

    /// <summary>The new address. It cannot be cleared.</summary>
    public string Email { get; init; } = null!;

    /// <summary>The current password; required when the address changes.</summary>
    public string Password { get; init; } = null!;

    private bool PrintMembers(System.Text.StringBuilder builder) => Redaction.Print(builder, nameof(Email));
}

/// <summary><c>POST /v1/me/password</c>. Ends every other session of the account.</summary>
/// <param name="CurrentPassword">The current password.</param>
/// <param name="NewPassword">The new password.</param>
public sealed record ChangePasswordRequest(string CurrentPassword, string NewPassword)
{
    private bool PrintMembers(System.Text.StringBuilder builder) => Redaction.Print(builder, nameof(NewPassword));
}

/// <summary><c>GET</c> and <c>PUT /v1/me/privacy</c>: what the server stores about the account only while the account wants it.</summary>
/// <param name="DeliveryCursor">
/// Whether the server stores how far the account has received each of its rooms. When it is off, the cursor of each room stays at the entry with which the
/// account joined, <see cref="MarkDeliveredRequest"/> changes nothing, and <see cref="RoomHead.Unread"/> counts from there.
/// </param>
public sealed record PrivacySettings(bool DeliveryCursor);

/// <summary><c>POST /v1/me/delete</c>: erases the account and everything that the server can attribute to it.</summary>
/// <param name="Password">The current password.</param>
public sealed record DeleteAccountRequest(string Password)
{
    private bool PrintMembers(System.Text.StringBuilder builder) => Redaction.Print(builder, nameof(Password));
}

/// <summary><c>GET /v1/users/{username}</c>: an account, found by its exact username.</summary>
/// <param name="Id">The account's id.</param>
/// <param name="Username">The account's username.</param>
public sealed record UserSummary(Guid Id, string Username);

/// <summary>One line of <c>GET /v1/me/sessions</c>.</summary>
/// <param name="Id">The session's id.</param>
/// <param name="StartedAt">When it began, to the hour (UTC).</param>
/// <param name="EndedAt">When it ended, to the hour (UTC); null while it lasts.</param>
/// <param name="Current">Whether the request came from this session.</param>
/// <param name="Label">As in <see cref="LabelSessionRequest"/>; null if it has none.</param>
public sealed record SessionSummary(Guid Id, DateTime StartedAt, DateTime? EndedAt, bool Current, byte[]? Label = null);

/// <summary><c>PUT /v1/me/sessions/{id}/label</c>: names a live session of the caller, for its owner. Replies 204.</summary>
/// <param name="Label">Opaque to the server, up to <see cref="Limits.NameBytes"/> bytes; encrypt it. Null clears.</param>
public sealed record LabelSessionRequest(byte[]? Label = null);

/// <summary>Keeps secrets out of generated <c>ToString</c> texts, which can reach logs.</summary>
internal static class Redaction
{
    public static bool Print(System.Text.StringBuilder builder, string member)
    {
        builder.Append(member).Append(" = [REDACTED]");
        return true;
    }
}
