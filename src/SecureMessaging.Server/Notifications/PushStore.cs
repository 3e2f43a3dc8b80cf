using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Notifications;

/// <summary>A live session with an endpoint, the settings of its account, and those for a room. Null members: there are no such settings.</summary>
internal sealed record PushTarget
{
    public Guid SessionId { get; init; }
    public Guid UserId { get; init; }
    public Guid RoomId { get; init; }
    public byte[] PushEndpoint { get; init; } = [];
    public bool? Muted { get; init; }
    public int? QuietFrom { get; init; }
    public int? QuietUntil { get; init; }
    public string? TimeZone { get; init; }
    public NotificationPriority? Priority { get; init; }
    public bool? RoomMuted { get; init; }
    public int? RoomQuietFrom { get; init; }
    public int? RoomQuietUntil { get; init; }
    public string? RoomTimeZone { get; init; }
    public NotificationPriority? RoomPriority { get; init; }

    public NotificationSettings Settings => this switch
    {
        { RoomMuted: { } muted, RoomPriority: { } priority } => new(muted, RoomQuietFrom, RoomQuietUntil, RoomTimeZone, priority),
        { Muted: { } muted, Priority: { } priority } => new(muted, QuietFrom, QuietUntil, TimeZone, priority),
        _ => new(),
    };

    public override string ToString() => "[REDACTED]";
}

/// <summary>The push endpoints of sessions. An endpoint is a column of its session's row, so that it ends with the session.</summary>
internal sealed class PushStore(Database database, PushEndpointCipher cipher, TimeProvider time)
{
    private const string SetSql = "update sessions set push_endpoint = @Endpoint where id = @SessionId and ended_at is null and expires_at > @Now";

    private const string RemoveSql = "update sessions set push_endpoint = null where id = @SessionId";

    // Does not remove a newer endpoint.
    private const string ForgetSql = "update sessions set push_endpoint = null where id = @SessionId and push_endpoint = @Endpoint";

    private const string IsSetSql = "select count(*) from sessions where id = @SessionId and push_endpoint is not null";

    private const string AnySql = "select count(*) from (select 1 from sessions where push_endpoint is not null limit 1) s";

    private const string TargetsSql = """
        select s.id as session_id, s.user_id, s.push_endpoint, m.room_id,
            e.muted, e.quiet_from, e.quiet_until, e.time_zone, e.priority,
            r.muted as room_muted, r.quiet_from as room_quiet_from, r.quiet_until as room_quiet_until, r.time_zone as room_time_zone,
            r.priority as room_priority
        from room_members m
        join sessions s on s.user_id = m.user_id and s.push_endpoint is not null and s.ended_at is null and s.expires_at > @Now
        left join notification_settings e on e.user_id = m.user_id
        left join room_notification_settings r on r.room_id = m.room_id and r.user_id = m.user_id
        where m.room_id
        """;

    public async Task RegisterAsync(Caller caller, string endpoint, CancellationToken cancellationToken)
    {
        var parameters = new { caller.SessionId, Endpoint = cipher.Encrypt(endpoint, caller.SessionId), Now = time.Now() };
        if (await database.ExecuteAsync(SetSql, parameters, cancellationToken) == 0)
            throw new ApiException(ErrorCode.Unauthenticated, "The session has ended. Sign in again.");
    }

    public Task RemoveAsync(Caller caller, CancellationToken cancellationToken) =>
        database.ExecuteAsync(RemoveSql, new { caller.SessionId }, cancellationToken);

    public Task ForgetAsync(PushTarget target, CancellationToken cancellationToken) =>
        database.ExecuteAsync(ForgetSql, new { target.SessionId, Endpoint = target.PushEndpoint }, cancellationToken);

    public async Task<bool> IsRegisteredAsync(Caller caller, CancellationToken cancellationToken) =>
        await database.ReadAsync(connection => connection.QuerySingleAsync<int>(IsSetSql, new { caller.SessionId }, cancellationToken), cancellationToken) > 0;

    /// <summary>Whether any session has an endpoint. A cheap check for servers without endpoints.</summary>
    public async Task<bool> AnyAsync(CancellationToken cancellationToken) =>
        await database.ReadAsync(connection => connection.QuerySingleAsync<int>(AnySql, null, cancellationToken), cancellationToken) > 0;

    public Task<List<PushTarget>> FindAsync(IReadOnlyCollection<Guid> rooms, CancellationToken cancellationToken)
    {
        var parameters = new Dapper.DynamicParameters(new { Now = time.Now() });
        parameters.Add("Rooms", database.ListOf(rooms));
        return database.ReadAsync(
            connection => connection.QueryAsync<PushTarget>($"{TargetsSql} {database.AnyOf("Rooms")}", parameters, cancellationToken), cancellationToken);
    }

    public string Decrypt(byte[] endpoint, Guid sessionId) => cipher.Decrypt(endpoint, sessionId);
}
