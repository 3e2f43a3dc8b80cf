using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Handshakes;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Devices;

/// <summary>A user's own devices and the identity key that signs them. What others may see of them is the <see cref="DeviceDirectory"/>'s.</summary>
internal sealed class DeviceStore(
    Database database, UserStore users, DeviceRooms rooms, SessionStore sessions, SessionEvents sessionEvents, TimeProvider time, Limits limits)
{
    // A device that waits for approval ends with its session.
    private const string Ended = "identity_signature is null and not exists (select 1 from sessions s where s.id = devices.session_id and s.ended_at is null)";

    private const string OwnSql = $"select {DeviceRow.Columns} from devices where user_id = @UserId and not ({Ended}) order by created_on, id";

    private const string EndedOfUserSql = $"select {DeviceRow.Columns} from devices where user_id = @UserId and {Ended}";

    private const string EndedSql = $"select id, user_id from devices where {Ended} limit @Limit";

    private const string StillEndedSql = $"select {DeviceRow.Columns} from devices where user_id = @UserId and id = @DeviceId and {Ended}";

    // Days and hours are all that is known of the order.
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

    private const string AttachSql = "update devices set session_id = @SessionId, seen_on = @Today where id = @DeviceId";

    private const string ApproveSql = """
        update devices set identity_signature = @IdentitySignature, sealed_identity = @SealedIdentity where id = @DeviceId
        """;

    private const string RotateSql = """
        update devices set signature_key = @SignatureKey, link_key = @LinkKey, identity_signature = @IdentitySignature, sealed_identity = null where id = @DeviceId
        """;

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
            var rows = await connection.QueryAsync<DeviceRow>(OwnSql, new { caller.UserId }, cancellationToken);
            return rows.Select(row => row.ToDevice(caller, identityKey)).ToArray();
        },
        cancellationToken);

    /// <summary>
    /// Makes the calling session a device, or returns the one that an earlier attempt made of it. When the account is full, the oldest device that waits for approval gives way:
    /// devices without an approval must not keep the user's next one out.
    /// </summary>
    public async Task<(Device Device, bool Created)> RegisterAsync(Caller caller, RegisterDeviceRequest request, CancellationToken cancellationToken)
    {
        var (device, created, ended) = await rooms.ChangeAsync(caller.UserId, transaction => RegisterAsync(transaction, caller, request, cancellationToken), cancellationToken);
        if (ended is { } sessionId)
            sessionEvents.RaiseEnded(sessionId, SessionEndReason.LoggedOut);
        return (device, created);
    }

    /// <summary>Makes the calling session the device's, as after signing in anew. The session that it had before is over.</summary>
    public async Task AttachAsync(Caller caller, Guid deviceId, CancellationToken cancellationToken)
    {
        // No room has to be told, so none is locked.
        var ended = await database.WriteAsync(
            async transaction =>
            {
                if (await users.LockAsync(transaction, caller.UserId, cancellationToken) is null)
                    throw new ApiException(ErrorCode.Unauthenticated, "The account has been deleted.");
                var own = await transaction.QueryAsync<DeviceRow>(OwnSql, new { caller.UserId }, cancellationToken);
                var device = own.Find(device => device.Id == deviceId) ?? throw ApiException.NotFound();
                if (device.SessionId == caller.SessionId)
                    return null;
                if (own.Exists(other => other.SessionId == caller.SessionId))
                    throw new ApiException(ErrorCode.Conflict, "This session is already bound to a different device.");
                await transaction.ExecuteAsync(AttachSql, new { DeviceId = deviceId, caller.SessionId, Today = time.Now().ToDay() }, cancellationToken);
                return device.SessionId is { } former && await sessions.EndAsync(transaction, caller.UserId, former, cancellationToken) ? device.SessionId : null;
            },
            cancellationToken);
        if (ended is { } sessionId)
            sessionEvents.RaiseEnded(sessionId, SessionEndReason.LoggedOut);
    }

    /// <summary>Believes a device because the identity key has signed it; who hands the signature in does not matter.</summary>
    public Task<Device> ApproveAsync(Caller caller, Guid deviceId, ApproveDeviceRequest request, CancellationToken cancellationToken) => rooms.ChangeAsync(
        caller.UserId,
        async transaction =>
        {
            var device = await RequireAsync(transaction, caller.UserId, deviceId, cancellationToken);
            var identityKey = await transaction.QuerySingleAsync<byte[]>(IdentitySql, new { caller.UserId }, cancellationToken);
            RequireSigned(identityKey, caller.UserId, deviceId, device.SignatureKey, request.IdentitySignature);
            // Another signature of the same would belie the credentials of its KeyPackages and leaves.
            if (device.IdentitySignature is not null && !Same(device.IdentitySignature, request.IdentitySignature))
                throw new ApiException(ErrorCode.Conflict, "The device is approved already, by another signature.");
            await transaction.ExecuteAsync(ApproveSql, new { DeviceId = deviceId, request.IdentitySignature, request.SealedIdentity }, cancellationToken);
            var approved = device with { IdentitySignature = request.IdentitySignature, SealedIdentity = request.SealedIdentity };
            return (approved.ToDevice(caller, identityKey), device.IdentitySignature is null);
        },
        cancellationToken);

    public Task<Device> RotateAsync(Caller caller, Guid deviceId, RotateDeviceRequest request, CancellationToken cancellationToken) => rooms.ChangeAsync(
        caller.UserId,
        async transaction =>
        {
            var device = await RequireCurrentAsync(transaction, caller, deviceId, cancellationToken);
            var identityKey = await transaction.QuerySingleAsync<byte[]>(IdentitySql, new { caller.UserId }, cancellationToken);
            RequireSigned(identityKey, caller.UserId, deviceId, request.SignatureKey, request.IdentitySignature);
            if (Same(device.SignatureKey, request.SignatureKey))
            {
                return Same(device.LinkKey, request.LinkKey) && Same(device.IdentitySignature, request.IdentitySignature)
                    ? (device.ToDevice(caller, identityKey), false)
                    : throw ApiException.Invalid("signatureKey must be a new one.", "signatureKey");
            }

            if ((await transaction.QueryAsync<DeviceRow>(OwnSql, new { caller.UserId }, cancellationToken)).Exists(other => Same(other.SignatureKey, request.SignatureKey)))
                throw new ApiException(ErrorCode.Conflict, "This signature key is another device's.");
            await transaction.ExecuteAsync(
                RotateSql, new { DeviceId = deviceId, request.SignatureKey, request.LinkKey, request.IdentitySignature }, cancellationToken);
            await KeyPackageStore.DropAsync(transaction, deviceId, cancellationToken);
            await WelcomeStore.DropAsync(transaction, deviceId, cancellationToken);
            var rotated = device with { SignatureKey = request.SignatureKey, LinkKey = request.LinkKey, IdentitySignature = request.IdentitySignature, SealedIdentity = null };
            return (rotated.ToDevice(caller, identityKey), device.IdentitySignature is not null || request.IdentitySignature is not null);
        },
        cancellationToken);

    public Task ReplaceIdentityAsync(Caller caller, ReplaceIdentityRequest request, CancellationToken cancellationToken) => rooms.ChangeAsync(
        caller.UserId,
        async transaction =>
        {
            var device = await RequireCurrentAsync(transaction, caller, request.DeviceId, cancellationToken);
            RequireSigned(request.IdentityKey, caller.UserId, device.Id, device.SignatureKey, request.IdentitySignature);
            var before = await transaction.QuerySingleAsync<byte[]>(IdentitySql, new { caller.UserId }, cancellationToken);
            if (Same(before, request.IdentityKey) && Same(device.IdentitySignature, request.IdentitySignature))
                return (0, false);
            await transaction.ExecuteAsync(SetIdentitySql, new { caller.UserId, request.IdentityKey }, cancellationToken);
            await transaction.ExecuteAsync(ResignSql, new { caller.UserId, request.DeviceId, request.IdentitySignature }, cancellationToken);
            // Their credentials show the old identity; and nothing is routed to a device that nobody vouches for.
            foreach (var other in await transaction.QueryAsync<DeviceRow>(OwnSql, new { caller.UserId }, cancellationToken))
            {
                await KeyPackageStore.DropAsync(transaction, other.Id, cancellationToken);
                if (other.Id != device.Id)
                    await WelcomeStore.DropAsync(transaction, other.Id, cancellationToken);
            }

            return (0, true);
        },
        cancellationToken);

    /// <summary>Ends a device, and with it its session, its KeyPackages and its Welcomes.</summary>
    public async Task RevokeAsync(Guid userId, Guid deviceId, CancellationToken cancellationToken)
    {
        var ended = await rooms.ChangeAsync(
            userId,
            async transaction =>
            {
                var device = await RequireAsync(transaction, userId, deviceId, cancellationToken);
                return (await RemoveAsync(transaction, device, cancellationToken), device.IdentitySignature is not null);
            },
            cancellationToken);
        if (ended is { } sessionId)
            sessionEvents.RaiseEnded(sessionId, SessionEndReason.LoggedOut);
    }

    /// <summary>Notes that the session's device is there, to the day; most calls change nothing.</summary>
    public Task SeenAsync(Guid sessionId, CancellationToken cancellationToken) =>
        database.ExecuteAsync(SeenSql, new { SessionId = sessionId, Today = time.Now().ToDay() }, cancellationToken);

    /// <summary>Revokes devices that have not been seen since a day, and those that waited for approval in a session that is over; each in a transaction of its own. Returns how many.</summary>
    public async Task<int> PurgeAsync(DateTime before, int batch, CancellationToken cancellationToken) =>
        await PurgeAsync(UnseenSql, StillUnseenSql, before, batch, cancellationToken) + await PurgeAsync(EndedSql, StillEndedSql, before, batch, cancellationToken);

    /// <summary>The caller's own device of this id whose session is the caller's.</summary>
    public static async Task<DeviceRow> RequireCurrentAsync(DbTransaction transaction, Caller caller, Guid deviceId, CancellationToken cancellationToken)
    {
        var device = await RequireAsync(transaction, caller.UserId, deviceId, cancellationToken);
        return device.SessionId == caller.SessionId ? device : throw new ApiException(ErrorCode.Forbidden, "This is for the device itself, in its session.");
    }

    private async Task<((Device Device, bool Created, Guid? Ended) Result, bool Tell)> RegisterAsync(
        DbTransaction transaction, Caller caller, RegisterDeviceRequest request, CancellationToken cancellationToken)
    {
        foreach (var gone in await transaction.QueryAsync<DeviceRow>(EndedOfUserSql, new { caller.UserId }, cancellationToken))
            await RemoveAsync(transaction, gone, cancellationToken);
        var own = await transaction.QueryAsync<DeviceRow>(OwnSql, new { caller.UserId }, cancellationToken);
        var identityKey = await transaction.QuerySingleAsync<byte[]>(IdentitySql, new { caller.UserId }, cancellationToken);
        if (own.Find(device => device.Id == request.Id) is { } earlier)
        {
            return earlier.SessionId == caller.SessionId && Same(earlier.SignatureKey, request.SignatureKey) && Same(earlier.LinkKey, request.LinkKey)
                ? ((earlier.ToDevice(caller, identityKey), false, null), false)
                : throw new ApiException(ErrorCode.Conflict, "This device is registered already, with other keys or for another session.");
        }

        if (own.Exists(device => device.SessionId == caller.SessionId))
            throw new ApiException(ErrorCode.Conflict, "This session is already bound to a device.");
        Guid? ended = null;
        if (own.Count >= limits.Devices)
        {
            var oldest = await transaction.QuerySingleAsync<DeviceRow>(OldestWaitingSql, new { caller.UserId }, cancellationToken)
                ?? throw new ApiException(ErrorCode.TooLarge, $"An account has {limits.Devices} devices at most. Remove one of them to make room for this one.");
            ended = await RemoveAsync(transaction, oldest, cancellationToken);
        }

        if (own.Count == 0)
        {
            if (request.IdentityKey is null || request.IdentitySignature is null)
                throw ApiException.Invalid("The first device brings the identity key and its signature.", request.IdentityKey is null ? "identityKey" : "identitySignature");
            identityKey = request.IdentityKey;
            await transaction.ExecuteAsync(SetIdentitySql, new { caller.UserId, IdentityKey = identityKey }, cancellationToken);
        }
        else if (request.IdentityKey is not null && !Same(request.IdentityKey, identityKey))
        {
            throw new ApiException(ErrorCode.Conflict, "The account has another identity key.");
        }

        RequireSigned(identityKey, caller.UserId, request.Id, request.SignatureKey, request.IdentitySignature);
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
        if (await transaction.ExecuteAsync(InsertSql, parameters, cancellationToken) == 0)
            throw new ApiException(ErrorCode.Conflict, "This device id or this signature key is taken.");
        var row = await RequireAsync(transaction, caller.UserId, request.Id, cancellationToken);
        return ((row.ToDevice(caller, identityKey), true, ended), request.IdentitySignature is not null);
    }

    private async Task<int> PurgeAsync(string find, string findAgain, DateTime before, int batch, CancellationToken cancellationToken)
    {
        var total = 0;
        while (true)
        {
            var found = await database.ReadAsync(
                connection => connection.QueryAsync<DeviceRow>(find, new { Before = before.ToDay(), Limit = batch }, cancellationToken), cancellationToken);
            foreach (var device in found)
                total += await PurgeAsync(device, findAgain, before.ToDay(), cancellationToken) ? 1 : 0;
            if (found.Count < batch)
                return total;
        }
    }

    private async Task<bool> PurgeAsync(DeviceRow found, string findAgain, DateTime before, CancellationToken cancellationToken)
    {
        try
        {
            var (removed, ended) = await rooms.ChangeAsync(
                found.UserId,
                async transaction =>
                {
                    // Another node may have been faster, or the device may have come back.
                    var device = await transaction.QuerySingleAsync<DeviceRow>(findAgain, new { found.UserId, DeviceId = found.Id, Before = before }, cancellationToken);
                    return device is null
                        ? ((false, null), false)
                        : ((true, await RemoveAsync(transaction, device, cancellationToken)), device.IdentitySignature is not null);
                },
                cancellationToken);
            if (ended is { } sessionId)
                sessionEvents.RaiseEnded(sessionId, SessionEndReason.LoggedOut);
            return removed;
        }
        catch (ApiException exception) when (exception.Code == ErrorCode.Unauthenticated)
        {
            // The account was erased in between, and its devices with it.
            return false;
        }
    }

    /// <summary>Returns the session that it ended.</summary>
    private async Task<Guid?> RemoveAsync(DbTransaction transaction, DeviceRow device, CancellationToken cancellationToken)
    {
        await WelcomeStore.DropAsync(transaction, device.Id, cancellationToken);
        await transaction.ExecuteAsync("delete from devices where id = @Id", new { device.Id }, cancellationToken);
        await transaction.ExecuteAsync(DropIdentitySql, new { device.UserId }, cancellationToken);
        return device.SessionId is { } sessionId && await sessions.EndAsync(transaction, device.UserId, sessionId, cancellationToken) ? sessionId : null;
    }

    private static async Task<DeviceRow> RequireAsync(DbTransaction transaction, Guid userId, Guid deviceId, CancellationToken cancellationToken) =>
        await transaction.QuerySingleAsync<DeviceRow>(OneSql, new { UserId = userId, DeviceId = deviceId }, cancellationToken) ?? throw ApiException.NotFound();

    private static void RequireSigned(byte[]? identityKey, Guid userId, Guid deviceId, byte[] signatureKey, byte[]? signature)
    {
        if (signature is not null && (identityKey is null || !DeviceCredential.Verify(identityKey, userId, deviceId, signatureKey, signature)))
            throw ApiException.Invalid("identitySignature is not the identity key's signature over this device.", "identitySignature");
    }

    private static bool Same(byte[]? one, byte[]? other) => one is null || other is null ? one == other : one.AsSpan().SequenceEqual(other);
}
