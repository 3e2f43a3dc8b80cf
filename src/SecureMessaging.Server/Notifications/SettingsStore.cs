using System.Data.Common;
using Dapper;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Notifications;

/// <summary>A row of <c>notification_settings</c> or <c>room_notification_settings</c>.</summary>
internal record SettingsRow
{
    public Guid RoomId { get; init; }
    public bool Muted { get; init; }
    public int? QuietFrom { get; init; }
    public int? QuietUntil { get; init; }
    public string? TimeZone { get; init; }
    public NotificationPriority Priority { get; init; }

    public NotificationSettings ToSettings() => new(Muted, QuietFrom, QuietUntil, TimeZone, Priority);
}

/// <summary>Notification settings. An account with default settings has no row.</summary>
internal sealed class SettingsStore(Database database)
{
    private const string Columns = "muted, quiet_from, quiet_until, time_zone, priority";
    private const string Values = "@Muted, @QuietFrom, @QuietUntil, @TimeZone, @Priority";

    private const string OnConflict = """
        do update set muted = excluded.muted, quiet_from = excluded.quiet_from, quiet_until = excluded.quiet_until, time_zone = excluded.time_zone,
            priority = excluded.priority
        """;

    private const string SelectSql = $"select {Columns} from notification_settings where user_id = @UserId";

    private const string SelectRoomsSql = $"select room_id, {Columns} from room_notification_settings where user_id = @UserId";

    private const string UpsertSql = $"insert into notification_settings (user_id, {Columns}) values (@UserId, {Values}) on conflict (user_id) {OnConflict}";

    // One statement: it changes nothing for a caller that is not a member.
    private const string InsertRoomSql = $"""
        insert into room_notification_settings (room_id, user_id, {Columns})
        select room_id, user_id, {Values} from room_members where room_id = @RoomId and user_id = @UserId
        """;

    private const string OnRoomConflict = $" on conflict (room_id, user_id) {OnConflict}";

    // A concurrently removed member is either not found, or removed together with the settings.
    private const string PostgresRowLock = " for key share";

    private const string DeleteRoomSql = "delete from room_notification_settings where room_id = @RoomId and user_id = @UserId";

    private const string IsMemberSql = "select count(*) from room_members where room_id = @RoomId and user_id = @UserId";

    public Task<(NotificationSettings Everywhere, Dictionary<Guid, NotificationSettings> Rooms)> ReadAsync(Guid userId, CancellationToken cancellationToken) =>
        database.ReadAsync(
            async connection =>
            {
                var everywhere = await connection.QuerySingleAsync<SettingsRow>(SelectSql, new { UserId = userId }, cancellationToken);
                var rooms = await connection.QueryAsync<SettingsRow>(SelectRoomsSql, new { UserId = userId }, cancellationToken);
                return (everywhere?.ToSettings() ?? new NotificationSettings(), rooms.ToDictionary(row => row.RoomId, row => row.ToSettings()));
            },
            cancellationToken);

    public Task SetAsync(Caller caller, NotificationSettings settings, CancellationToken cancellationToken) =>
        database.ExecuteAsync(UpsertSql, Parameters(caller, Guid.Empty, settings), cancellationToken);

    public async Task SetRoomAsync(Caller caller, Guid roomId, NotificationSettings settings, CancellationToken cancellationToken)
    {
        var sql = InsertRoomSql + (database.IsPostgres ? PostgresRowLock : "") + OnRoomConflict;
        if (await database.ExecuteAsync(sql, Parameters(caller, roomId, settings), cancellationToken) == 0)
            throw ApiException.NotFound();
    }

    public Task ResetRoomAsync(Caller caller, Guid roomId, CancellationToken cancellationToken) => database.WriteAsync(
        async (DbTransaction transaction) =>
        {
            var parameters = new { RoomId = roomId, caller.UserId };
            if (await transaction.ExecuteAsync(DeleteRoomSql, parameters, cancellationToken) == 0
                && await transaction.QuerySingleAsync<int>(IsMemberSql, parameters, cancellationToken) == 0)
                throw ApiException.NotFound();
        },
        cancellationToken);

    private static DynamicParameters Parameters(Caller caller, Guid roomId, NotificationSettings settings) => new(new
    {
        caller.UserId,
        RoomId = roomId,
        settings.Muted,
        settings.QuietFrom,
        settings.QuietUntil,
        settings.TimeZone,
        Priority = (int)settings.Priority,
    });
}
