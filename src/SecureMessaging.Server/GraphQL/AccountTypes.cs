using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Privacy;

namespace SecureMessaging.Server.GraphQL;

internal sealed class ProfileType : OutputType<Profile>
{
    /// <summary>Reads whole rooms.</summary>
    private const int DisclosureCost = 5000;

    public ProfileType(Disclosures disclosures)
        : base("Profile", "The caller's own account.")
    {
        Value<IdGraphType>("id", profile => profile.Id, "The account's id.");
        Value<StringGraphType>("username", profile => profile.Username, "The account's username.");
        Value<StringGraphType>("email", profile => profile.Email, "The address as given, shown to its owner alone.");
        Value<DateTimeGraphType>("createdOn", profile => profile.CreatedOn, "The day of sign-up (UTC).");
        Value<StringGraphType>("role", profile => profile.Role, "user or admin (of the server, not of a room).");
        Required<StringGraphType>("data", "Everything the server holds on the account: the JSON text that GET /v1/me/data returns.").Costs(DisclosureCost)
            .ResolveAsync(async context => await disclosures.ReadAsync(context.Source.Id, context.CancellationToken));
    }
}

internal sealed class UserType : OutputType<UserSummary>
{
    public UserType()
        : base("User", "What one may know of another by their exact username.")
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
        Value<DateTimeGraphType>("startedAt", session => session.StartedAt, "When it began, to the hour (UTC).");
        Nullable<DateTimeGraphType>("endedAt", session => session.EndedAt, "When it ended, to the hour (UTC); null while it lasts.");
        Value<BooleanGraphType>("current", session => session.Current, "Whether the request came from this session.");
    }
}

internal sealed class TokensType : OutputType<TokenResponse>
{
    public TokensType()
        : base("Tokens", "What a session lives on.")
    {
        Value<IdGraphType>("userId", tokens => tokens.UserId, "The account's id.");
        Value<StringGraphType>("username", tokens => tokens.Username, "The account's username, folded.");
        Value<IdGraphType>("sessionId", tokens => tokens.SessionId, "The session.");
        Value<StringGraphType>("accessToken", tokens => tokens.AccessToken, "JWT to be sent as Authorization: Bearer, or as accessToken of connection_init.");
        Value<IntGraphType>("expiresIn", tokens => tokens.ExpiresIn, "Seconds that the access token still lives.");
        Value<StringGraphType>("refreshToken", tokens => tokens.RefreshToken, "Opaque, single use: each refresh returns the next one.");
        Value<DateTimeGraphType>("sessionExpiresAt", tokens => tokens.SessionExpiresAt, "When the session ends whatever happens (UTC).");
    }
}

internal sealed class TicketType : OutputType<TicketResponse>
{
    public TicketType()
        : base("Ticket", "Opens one socket, as ticket of connection_init.")
    {
        Value<StringGraphType>("ticket", ticket => ticket.Ticket, "Opaque, single use.");
        Value<IntGraphType>("expiresIn", ticket => ticket.ExpiresIn, "Seconds that the ticket lives.");
    }
}

internal sealed class StatsType : OutputType<AdminStats>
{
    public StatsType()
        : base("Stats", "Counts and nothing else.")
    {
        Value<StringGraphType>("node", stats => stats.Node, "The node that answered.");
        Value<LongType>("users", stats => stats.Users, "Accounts.");
        Value<LongType>("disabledUsers", stats => stats.DisabledUsers, "Those that may not sign in.");
        Value<LongType>("admins", stats => stats.Admins, "Those that administer the server.");
        Value<LongType>("liveSessions", stats => stats.LiveSessions, "Sessions that go on.");
        Value<LongType>("rooms", stats => stats.Rooms, "Rooms.");
        Value<LongType>("entries", stats => stats.Entries, "Entries of all logs, with the places of expired ones.");
    }
}

/// <summary>Every limit of the contract by its name there, so that a new one needs nothing here.</summary>
internal sealed class LimitsType : OutputType<Limits>
{
    public LimitsType()
        : base("Limits", "Every limit of the contract: bytes, counts, characters or seconds, as the name says.")
    {
        foreach (var limit in typeof(Limits).GetProperties().Where(property => property.PropertyType == typeof(int)))
            Value<IntGraphType>(char.ToLowerInvariant(limit.Name[0]) + limit.Name[1..], limit.GetValue, $"{limit.Name} of the contract.");
        Nullable<LongType>("accountBytesPerDay", limits => limits.AccountBytesPerDay, "Bytes that one account may send and upload in a day. Null: no quota.");
        Nullable<LongType>("roomBytesPerDay", limits => limits.RoomBytesPerDay, "Bytes that may be stored in one room in a day. Null: no quota.");
        Nullable<LongType>("roomBytes", limits => limits.RoomBytes, "Bytes that one room may hold. Null: no quota.");
    }
}
