using System.Data.Common;
using Dapper;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Encryption;

internal sealed record WelcomedDevice(Guid UserId, Guid DeviceId);

/// <summary>Welcomes that wait for their devices. Each is stored once, with its commit, and deleted when the last recipient has acknowledged it.</summary>
internal sealed class WelcomeStore(Database database, TimeProvider time, Limits limits)
{
    // Only approved devices of members. References of other devices count as unknown.
    private string RecipientsSql => $"""
        select k.reference, k.device_id, d.user_id from key_packages k
        join devices d on d.id = k.device_id and d.identity_signature is not null
        join room_members m on m.room_id = @RoomId and m.user_id = d.user_id
        where k.reference {database.AnyOf("References")} order by d.id
        """;

    // Waits for a concurrent removal of a device, which is then not found. In the order of ids.
    private const string PostgresRecipientsLock = " for key share of d";

    private const string InsertSql = """
        insert into welcomes (room_id, seq, number, generation, message, created_at) values (@RoomId, @Seq, @Number, @Generation, @Message, @CreatedAt)
        """;

    private string InsertRecipientsSql => $"""
        insert into welcome_recipients (device_id, room_id, seq, number)
        select id, @RoomId, @Seq, @Number from devices where id {database.AnyOf("DeviceIds")}
        """;

    private const string PendingSql = """
        select w.room_id, w.generation, w.seq, w.message from devices d
        join welcome_recipients r on r.device_id = d.id
        join welcomes w on w.room_id = r.room_id and w.seq = r.seq and w.number = r.number
        join room_members m on m.room_id = w.room_id and m.user_id = d.user_id
        where d.id = @DeviceId and d.user_id = @UserId and d.session_id = @SessionId
        order by w.created_at, w.room_id, w.seq limit @Limit
        """;

    private const string IsCurrentSql = "select session_id from devices where id = @DeviceId and user_id = @UserId";

    // The message is locked first: of two concurrent last recipients the second one sees that the first is gone, and deletes the message.
    private const string PostgresLockSql = """
        select 1 from welcomes w join welcome_recipients r on r.room_id = w.room_id and r.seq = w.seq and r.number = w.number
        where r.device_id = @DeviceId and r.room_id = @RoomId and r.seq = @Seq for update of w
        """;

    private const string StrikeSql = "delete from welcome_recipients where device_id = @DeviceId and room_id = @RoomId and seq = @Seq";

    private const string DeleteUnwantedSql = """
        delete from welcomes where room_id = @RoomId and not exists (
            select 1 from welcome_recipients r where r.room_id = welcomes.room_id and r.seq = welcomes.seq and r.number = welcomes.number)
        """;

    private string StrikeUsersSql => $"""
        delete from welcome_recipients where room_id = @RoomId and device_id in (select id from devices where user_id {database.AnyOf("UserIds")})
        """;

    private const string ResetSql = "delete from welcomes where room_id = @RoomId";

    private const string StrikeDeviceSql = "delete from welcome_recipients where device_id = @DeviceId";

    private const string PurgeSql = """
        delete from welcomes where (room_id, seq, number) in (
            select w.room_id, w.seq, w.number from welcomes w
            where w.created_at < @Before or not exists (
                select 1 from welcome_recipients r where r.room_id = w.room_id and r.seq = w.seq and r.number = w.number)
            limit @Limit)
        """;

    private const int PageLength = 100;

    /// <summary>
    /// Finds the recipients of these Welcomes among the members in this transaction, one list for each Welcome. Every reference must be found, and each device
    /// at most once.
    /// </summary>
    public async Task<List<WelcomedDevice>[]> FindAsync(
        DbTransaction transaction, Guid roomId, IReadOnlyList<List<byte[]>> welcomes, CancellationToken cancellationToken)
    {
        if (welcomes.Count == 0)
            return [];
        var parameters = new DynamicParameters(new { RoomId = roomId });
        parameters.Add("References", database.ListOf(welcomes.SelectMany(references => references)));
        var rows = await transaction.QueryAsync<RecipientRow>(
            database.IsPostgres ? RecipientsSql + PostgresRecipientsLock : RecipientsSql, parameters, cancellationToken);
        var found = rows.ToDictionary(row => KeyPackageReference.From(row.Reference), row => new WelcomedDevice(row.UserId, row.DeviceId));
        var devices = new HashSet<Guid>();
        var result = new List<WelcomedDevice>[welcomes.Count];
        for (var i = 0; i < result.Length; i++)
        {
            result[i] = [];
            foreach (var reference in welcomes[i])
            {
                if (!found.TryGetValue(KeyPackageReference.From(reference), out var device))
                    throw ApiException.Invalid(
                        "A Welcome is for a KeyPackage that does not belong to a member. Read the room's devices again.", $"welcomes/{i}");
                if (!devices.Add(device.DeviceId))
                    throw ApiException.Invalid("A commit must have at most one Welcome for each device.", $"welcomes/{i}");
                result[i].Add(device);
            }
        }

        return result;
    }

    /// <summary>Stores a Welcome in the transaction of its commit.</summary>
    public async Task AddAsync(
        DbTransaction transaction, Guid roomId, int generation, long seq, int number, byte[] message, List<WelcomedDevice> devices,
        CancellationToken cancellationToken)
    {
        await transaction.ExecuteAsync(
            InsertSql, new { RoomId = roomId, Seq = seq, Number = number, Generation = generation, Message = message, CreatedAt = time.Now().ToMinute() },
            cancellationToken);
        var parameters = new DynamicParameters(new { RoomId = roomId, Seq = seq, Number = number });
        parameters.Add("DeviceIds", database.ListOf(devices.Select(device => device.DeviceId)));
        await transaction.ExecuteAsync(InsertRecipientsSql, parameters, cancellationToken);
    }

    /// <summary>One page of the Welcomes that wait for the calling device, oldest first.</summary>
    public Task<PendingWelcome[]> ListAsync(Caller caller, Guid deviceId, CancellationToken cancellationToken) => database.ReadAsync(
        async connection =>
        {
            RequireCurrent(await connection.QuerySingleAsync<SessionRow>(IsCurrentSql, new { DeviceId = deviceId, caller.UserId }, cancellationToken), caller);
            var parameters = new { DeviceId = deviceId, caller.UserId, caller.SessionId, Limit = PageLength };
            var pending = new List<PendingWelcome>();
            var bytes = 0;
            await using var reader = await connection.ExecuteReaderAsync(PendingSql, parameters, cancellationToken);
            var parse = reader.GetRowParser<WelcomeRow>();
            while (await reader.ReadAsync(cancellationToken))
            {
                var row = parse(reader);
                bytes += row.Message.Length;
                if (pending.Count > 0 && bytes > limits.PageBytes)
                    break;
                pending.Add(new PendingWelcome(row.RoomId, row.Generation, row.Seq, row.Message));
            }

            return pending.ToArray();
        },
        cancellationToken);

    /// <summary>The calling device has stored the Welcome. Idempotent.</summary>
    public async Task AcknowledgeAsync(Caller caller, Guid deviceId, Guid roomId, long seq, CancellationToken cancellationToken)
    {
        Positions.Require("seq", seq, least: 1);
        await database.WriteAsync(
            async transaction =>
            {
                var parameters = new { DeviceId = deviceId, RoomId = roomId, Seq = seq };
                RequireCurrent(
                    await transaction.QuerySingleAsync<SessionRow>(IsCurrentSql, new { DeviceId = deviceId, caller.UserId }, cancellationToken), caller);
                if (database.IsPostgres)
                    await transaction.ExecuteAsync(PostgresLockSql, parameters, cancellationToken);
                await transaction.ExecuteAsync(StrikeSql, parameters, cancellationToken);
                await transaction.ExecuteAsync(DeleteUnwantedSql, parameters, cancellationToken);
            },
            cancellationToken);
    }

    /// <summary>Removes the devices of leaving members from the recipients. The caller must hold the room's lock.</summary>
    public async Task ForgetAsync(DbTransaction transaction, Guid roomId, IReadOnlyList<Guid> userIds, CancellationToken cancellationToken)
    {
        var parameters = new DynamicParameters(new { RoomId = roomId });
        parameters.Add("UserIds", database.ListOf(userIds));
        if (await transaction.ExecuteAsync(StrikeUsersSql, parameters, cancellationToken) > 0)
            await transaction.ExecuteAsync(DeleteUnwantedSql, new { RoomId = roomId }, cancellationToken);
    }

    /// <summary>Removes the device from all recipients. The retention job deletes Welcomes without recipients.</summary>
    public static Task DropAsync(DbTransaction transaction, Guid deviceId, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(StrikeDeviceSql, new { DeviceId = deviceId }, cancellationToken);

    public static Task ResetAsync(DbTransaction transaction, Guid roomId, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(ResetSql, new { RoomId = roomId }, cancellationToken);

    /// <summary>Deletes Welcomes older than a day, and Welcomes without recipients, one batch a transaction. Returns their number.</summary>
    public Task<int> PurgeAsync(DateTime before, int batch, CancellationToken cancellationToken) =>
        database.ExecuteInBatchesAsync(PurgeSql, new { Before = before, Limit = batch }, batch, cancellationToken);

    private static void RequireCurrent(SessionRow? device, Caller caller)
    {
        if (device is null)
            throw ApiException.NotFound();
        if (device.SessionId != caller.SessionId)
            throw DeviceRow.NotCurrent();
    }

    private sealed record SessionRow
    {
        public Guid? SessionId { get; init; }
    }

    private sealed record RecipientRow
    {
        public byte[] Reference { get; init; } = [];
        public Guid DeviceId { get; init; }
        public Guid UserId { get; init; }
    }

    private sealed record WelcomeRow
    {
        public Guid RoomId { get; init; }
        public int Generation { get; init; }
        public long Seq { get; init; }
        public byte[] Message { get; init; } = [];
    }
}
