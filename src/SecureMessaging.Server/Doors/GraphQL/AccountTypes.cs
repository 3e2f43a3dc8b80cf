using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Privacy;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed class ProfileType : OutputType<Profile>
{
    /// <summary>A disclosure reads whole rooms.</summary>
    private const int DisclosureCost = 5000;

    public ProfileType(Disclosures disclosures)
        : base("Profile", "The caller's own account.")
    {
        Value<IdGraphType>("id", profile => profile.Id, "The account's id.");
        Value<StringGraphType>("username", profile => profile.Username, "The account's username.");
        Value<StringGraphType>("email", profile => profile.Email, "The e-mail address. Only its owner can read it.");
        Value<DateTimeGraphType>("createdOn", profile => profile.CreatedOn, "The day of sign-up (UTC).");
        Value<StringGraphType>("role", profile => profile.Role, "user or admin. The role on the server, not in a room.");
        Required<StringGraphType>("data", "Everything the server stores about the account: the JSON text that GET /v1/me/data returns.").Costs(DisclosureCost)
            .ResolveAsync(async context => await disclosures.ReadAsync(context.Source.Id, context.CancellationToken));
    }
}

internal sealed class PrivacySettingsType : OutputType<PrivacySettings>
{
    public PrivacySettingsType()
        : base("PrivacySettings", "What the server stores about the caller only while the caller wants it.")
    {
        Value<BooleanGraphType>(
            "deliveryCursor", settings => settings.DeliveryCursor, "Whether the server stores how far the caller has received each room.");
    }
}

internal sealed class UserType : OutputType<UserSummary>
{
    public UserType()
        : base("User", "The public part of another account.")
    {
        Value<IdGraphType>("id", user => user.Id, "The account's id.");
        Value<StringGraphType>("username", user => user.Username, "The account's username.");
    }
}

internal sealed class SessionType : OutputType<SessionSummary>
{
    public SessionType()
        : base("Session", "A session of the caller.")
    {
        Value<IdGraphType>("id", session => session.Id, "The session's id.");
        Value<DateTimeGraphType>("startedAt", session => session.StartedAt, "When it started, to the hour (UTC).");
        Nullable<DateTimeGraphType>("endedAt", session => session.EndedAt, "When it ended, to the hour (UTC). Null: it is active.");
        Value<BooleanGraphType>("current", session => session.Current, "Whether the request came from this session.");
        Nullable<Base64Type>("label", session => session.Label, "Its name for its owner. Opaque to the server.");
    }
}

internal sealed class TokensType : OutputType<TokenResponse>
{
    public TokensType()
        : base("Tokens", "The tokens of a session.")
    {
        Value<IdGraphType>("userId", tokens => tokens.UserId, "The account's id.");
        Value<StringGraphType>("username", tokens => tokens.Username, "The account's username, in lower case.");
        Value<IdGraphType>("sessionId", tokens => tokens.SessionId, "The session.");
        Value<StringGraphType>("accessToken", tokens => tokens.AccessToken, "JWT. Send it as Authorization: Bearer, or as accessToken of connection_init.");
        Value<IntGraphType>("expiresIn", tokens => tokens.ExpiresIn, "Seconds until the access token expires.");
        Value<StringGraphType>("refreshToken", tokens => tokens.RefreshToken, "Opaque, single use. Each refresh returns the next one.");
        Value<DateTimeGraphType>("sessionExpiresAt", tokens => tokens.SessionExpiresAt, "When the session ends at the latest (UTC).");
    }
}

internal sealed class TicketType : OutputType<TicketResponse>
{
    public TicketType()
        : base("Ticket", "Opens one WebSocket, as ticket of connection_init.")
    {
        Value<StringGraphType>("ticket", ticket => ticket.Ticket, "Opaque, single use.");
        Value<IntGraphType>("expiresIn", ticket => ticket.ExpiresIn, "Seconds until the ticket expires.");
    }
}

internal sealed class StatsType : OutputType<AdminStats>
{
    public StatsType()
        : base("Stats", "Counts of the server. They identify no account.")
    {
        Value<StringGraphType>("node", stats => stats.Node, "The node that answered.");
        Value<LongType>("users", stats => stats.Users, "Accounts.");
        Value<LongType>("disabledUsers", stats => stats.DisabledUsers, "Disabled accounts.");
        Value<LongType>("admins", stats => stats.Admins, "Accounts with the admin role.");
        Value<LongType>("liveSessions", stats => stats.LiveSessions, "Active sessions.");
        Value<LongType>("rooms", stats => stats.Rooms, "Rooms.");
        Value<LongType>("entries", stats => stats.Entries, "Entries of all logs, including expired ones.");
    }
}

/// <summary>Every limit of the contract by its own name, so that a new limit needs no change here.</summary>
internal sealed class LimitsType : OutputType<Limits>
{
    public LimitsType()
        : base("Limits", "Every limit of the contract. The name states the unit: bytes, counts, characters or seconds.")
    {
        foreach (var limit in typeof(Limits).GetProperties().Where(property => property.PropertyType == typeof(int)))
            Value<IntGraphType>(char.ToLowerInvariant(limit.Name[0]) + limit.Name[1..], limit.GetValue, $"{limit.Name} of the contract.");
        Nullable<LongType>("accountBytesPerDay", limits => limits.AccountBytesPerDay, "Bytes that one account may send and upload in a day. Null: no quota.");
        Nullable<LongType>("roomBytesPerDay", limits => limits.RoomBytesPerDay, "Bytes that may be stored in one room in a day. Null: no quota.");
        Nullable<LongType>("roomBytes", limits => limits.RoomBytes, "Bytes that one room may store. Null: no quota.");
    }
}
