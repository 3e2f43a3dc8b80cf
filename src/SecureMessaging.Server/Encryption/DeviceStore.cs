using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Encryption;

/// <summary>A user's own devices and the identity key that signs them. The <see cref="DeviceDirectory"/> shows their public part to others.</summary>
internal sealed class DeviceStore(Database database, TimeProvider time)
{
    // A device without approval ends with its session.
    private const string Ended = "identity_signature is null and not exists (select 1 from sessions s where s.id = devices.session_id and s.ended_at is null)";

    private const string OwnSql = $"select {DeviceRow.Columns} from devices where user_id = @UserId and not ({Ended}) order by created_on, id";

    private const string ShownSql = $"""
        select {DeviceRow.Columns}, case when session_id = @SessionId then sealed_identity end as sealed_identity
        from devices where user_id = @UserId and not ({Ended}) order by created_on, id
        """;

    private const string EndedOfUserSql = $"select {DeviceRow.Columns} from devices where user_id = @UserId and {Ended}";

    private const string EndedSql = $"select id, user_id from devices where {Ended} limit @Limit";

    private const string StillEndedSql = $"{OneSql} and {Ended}";

    // The order is known only to the day and hour.
    private const string OldestWaitingSql = """
        select d.id, d.user_id, d.session_id from devices d join sessions s on s.id = d.session_id
        where d.user_id = @UserId and d.identity_signature is null order by d.created_on, s.started_at, d.id limit 1
        """;

    private const string OneSql = $"select {DeviceRow.Columns} from devices where user_id = @UserId and id = @DeviceId";

    private const string IdentitySql = "select public_key from identity_keys where user_id = @UserId";

    private const string SetIdentitySql = """
        insert into identity_keys (user_id, public_key) values (@UserId, @IdentityKey)
        on conflict (user_id) do update set public_key = excluded.public_key
        """;

    private const string DropIdentitySql = """
        delete from identity_keys where user_id = @UserId and not exists (select 1 from devices where user_id = @UserId)
        """;

    private const string InsertSql = """
        insert into devices (id, user_id, session_id, scheme, signature_key, link_key, identity_signature, name, created_on, seen_on)
        values (@Id, @UserId, @SessionId, @Scheme, @SignatureKey, @LinkKey, @IdentitySignature, @Name, @Today, @Today)
        on conflict do nothing
        """;

    private const string DeleteSql = "delete from devices where id = @Id";

    private const string AttachSql = "update devices set session_id = @SessionId, seen_on = @Today where id = @DeviceId";

    private const string ApproveSql = """
        update devices set identity_signature = @IdentitySignature, sealed_identity = @SealedIdentity where id = @DeviceId
        """;

    private const string RotateSql = """
        update devices set signature_key = @SignatureKey, link_key = @LinkKey, identity_signature = @IdentitySignature, sealed_identity = null
        where id = @DeviceId
        """;

    private const string DropSealedSql = "update devices set sealed_identity = null where id = @DeviceId and sealed_identity is not null";

    private const string ResignSql = """
        update devices set identity_signature = case when id = @DeviceId then @IdentitySignature end, sealed_identity = null where user_id = @UserId
        """;

    private const string SeenSql = "update devices set seen_on = @Today where session_id = @SessionId and seen_on < @Today";

    private const string UnseenSql = "select id, user_id from devices where seen_on < @Before order by seen_on limit @Limit";

    private const string StillUnseenSql = OneSql + " and seen_on < @Before";

    public Task<Device[]> ListAsync(Caller caller, CancellationToken cancellationToken) => database.ReadAsync(
        async connection =>
        {
            var identityKey = await connection.QuerySingleAsync<byte[]>(IdentitySql, new { caller.UserId }, cancellationToken);
            var rows = await connection.QueryAsync<DeviceRow>(ShownSql, new { caller.UserId, caller.SessionId }, cancellationToken);
            return rows.Select(row => row.ToDevice(caller, identityKey)).ToArray();
        },
        cancellationToken);

    public Task<List<DeviceRow>> FindUnseenAsync(DateTime before, int limit, CancellationToken cancellationToken) => database.ReadAsync(
        connection => connection.QueryAsync<DeviceRow>(UnseenSql, new { Before = before, Limit = limit }, cancellationToken), cancellationToken);

    public Task<List<DeviceRow>> FindEndedAsync(int limit, CancellationToken cancellationToken) => database.ReadAsync(
        connection => connection.QueryAsync<DeviceRow>(EndedSql, new { Limit = limit }, cancellationToken), cancellationToken);

    public static Task<DeviceRow?> FindUnseenAsync(DbTransaction transaction, DeviceRow device, DateTime before, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<DeviceRow>(StillUnseenSql, new { device.UserId, DeviceId = device.Id, Before = before }, cancellationToken);

    public static Task<DeviceRow?> FindEndedAsync(DbTransaction transaction, DeviceRow device, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<DeviceRow>(StillEndedSql, new { device.UserId, DeviceId = device.Id }, cancellationToken);

    /// <summary>Notes the day on which the session's device was seen. Most calls change nothing.</summary>
    public Task SeenAsync(Guid sessionId, CancellationToken cancellationToken) =>
        database.ExecuteAsync(SeenSql, new { SessionId = sessionId, Today = time.Now().ToDay() }, cancellationToken);

    public static async Task<DeviceRow> RequireAsync(DbTransaction transaction, Guid userId, Guid deviceId, CancellationToken cancellationToken) =>
        await transaction.QuerySingleAsync<DeviceRow>(OneSql, new { UserId = userId, DeviceId = deviceId }, cancellationToken) ?? throw ApiException.NotFound();

    /// <summary>The caller's device of this id. Throws unless the calling session is the device's.</summary>
    public static async Task<DeviceRow> RequireCurrentAsync(DbTransaction transaction, Caller caller, Guid deviceId, CancellationToken cancellationToken)
    {
        var device = await RequireAsync(transaction, caller.UserId, deviceId, cancellationToken);
        return device.SessionId == caller.SessionId ? device : throw DeviceRow.NotCurrent();
    }

    /// <summary>The user's devices, without those that have ended.</summary>
    public static Task<List<DeviceRow>> ListAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken) =>
        transaction.QueryAsync<DeviceRow>(OwnSql, new { UserId = userId }, cancellationToken);

    public static Task<List<DeviceRow>> ListEndedAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken) =>
        transaction.QueryAsync<DeviceRow>(EndedOfUserSql, new { UserId = userId }, cancellationToken);

    public static Task<DeviceRow?> FindOldestWaitingAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<DeviceRow>(OldestWaitingSql, new { UserId = userId }, cancellationToken);

    public static Task<byte[]?> FindIdentityKeyAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<byte[]>(IdentitySql, new { UserId = userId }, cancellationToken);

    public static Task SetIdentityKeyAsync(DbTransaction transaction, Guid userId, byte[] identityKey, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(SetIdentitySql, new { UserId = userId, IdentityKey = identityKey }, cancellationToken);

    /// <summary>False: the id or the signature key is taken.</summary>
    public async Task<bool> TryInsertAsync(DbTransaction transaction, Caller caller, RegisterDeviceRequest request, CancellationToken cancellationToken)
    {
        var parameters = new
        {
            request.Id,
            caller.UserId,
            caller.SessionId,
            request.Scheme,
            request.SignatureKey,
            request.LinkKey,
            request.IdentitySignature,
            request.Name,
            Today = time.Now().ToDay(),
        };
        return await transaction.ExecuteAsync(InsertSql, parameters, cancellationToken) > 0;
    }

    public Task AttachAsync(DbTransaction transaction, Guid deviceId, Guid sessionId, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(AttachSql, new { DeviceId = deviceId, SessionId = sessionId, Today = time.Now().ToDay() }, cancellationToken);

    public static Task ApproveAsync(DbTransaction transaction, Guid deviceId, ApproveDeviceRequest request, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(ApproveSql, new { DeviceId = deviceId, request.IdentitySignature, request.SealedIdentity }, cancellationToken);

    public static Task RotateAsync(DbTransaction transaction, Guid deviceId, RotateDeviceRequest request, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(
            RotateSql, new { DeviceId = deviceId, request.SignatureKey, request.LinkKey, request.IdentitySignature }, cancellationToken);

    /// <summary>Deletes what an approving device left for this one.</summary>
    public static Task DropSealedAsync(DbTransaction transaction, Guid deviceId, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(DropSealedSql, new { DeviceId = deviceId }, cancellationToken);

    /// <summary>Sets the signature of the calling device, and removes those of all others.</summary>
    public static Task ResignAsync(DbTransaction transaction, Guid userId, ReplaceIdentityRequest request, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(ResignSql, new { UserId = userId, request.DeviceId, request.IdentitySignature }, cancellationToken);

    /// <summary>Deletes the device. The identity key is deleted with the user's last device.</summary>
    public static async Task DeleteAsync(DbTransaction transaction, DeviceRow device, CancellationToken cancellationToken)
    {
        await transaction.ExecuteAsync(DeleteSql, new { device.Id }, cancellationToken);
        await transaction.ExecuteAsync(DropIdentitySql, new { device.UserId }, cancellationToken);
    }
}
