using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Encryption;

/// <summary>
/// Changes of a user's devices and identity key, the same for all doors. Reads are one query of <see cref="DeviceStore"/> or <see cref="DeviceDirectory"/>,
/// which doors call directly.
/// </summary>
internal sealed class DeviceOperations(
    Database database, DeviceStore devices, DeviceRooms rooms, UserStore users, SessionStore sessions, SessionEvents sessionEvents, ByteQuotas quotas,
    Limits limits)
{
    /// <summary>The transfer to a new device has the heads of all rooms and the pins of all contacts.</summary>
    public const int SealedIdentityBytes = 512 * 1024;

    public async Task<Device> GetAsync(Caller caller, Guid deviceId, CancellationToken cancellationToken) =>
        Array.Find(await devices.ListAsync(caller, cancellationToken), device => device.Id == deviceId) ?? throw ApiException.NotFound();

    /// <summary>
    /// Registers the calling session as a device, or returns the device of an earlier attempt. When the account is full, the oldest device without approval is
    /// removed: such devices must not block a new one.
    /// </summary>
    public async Task<(Device Device, bool Created)> RegisterAsync(Caller caller, RegisterDeviceRequest request, CancellationToken cancellationToken)
    {
        if (request.Id == Guid.Empty)
            throw ApiException.Invalid("id must be a random UUID.", "id");
        if (request.Scheme != Schemes.Mls10)
            throw ApiException.Invalid($"scheme must be {Schemes.Mls10}.", "scheme");
        if (request.Name?.Length > limits.NameBytes)
            throw ApiException.TooLarge("name", limits.NameBytes);
        RequireKeys(request.SignatureKey, request.LinkKey);
        if (request.IdentityKey is not null)
            RequireIdentityKey(request.IdentityKey);
        var (device, created, ended) = await rooms.ChangeAsync(
            caller.UserId, transaction => RegisterAsync(transaction, caller, request, cancellationToken), cancellationToken);
        RaiseEnded(ended);
        return (device, created);
    }

    /// <summary>Attaches the device to the calling session, for example after a new sign-in. The device's earlier session ends.</summary>
    public async Task AttachAsync(Caller caller, Guid deviceId, CancellationToken cancellationToken)
    {
        // The rooms do not change, so none is locked.
        var ended = await database.WriteAsync(
            async transaction =>
            {
                if (await users.LockAsync(transaction, caller.UserId, cancellationToken) is null)
                    throw new ApiException(ErrorCode.Unauthenticated, "The account has been deleted.");
                var own = await DeviceStore.ListAsync(transaction, caller.UserId, cancellationToken);
                var device = own.Find(device => device.Id == deviceId) ?? throw ApiException.NotFound();
                if (device.SessionId == caller.SessionId)
                    return null;
                if (own.Exists(other => other.SessionId == caller.SessionId))
                    throw new ApiException(ErrorCode.Conflict, "This session is already bound to a different device.");
                await devices.AttachAsync(transaction, deviceId, caller.SessionId, cancellationToken);
                return await EndSessionAsync(transaction, device, cancellationToken);
            },
            cancellationToken);
        RaiseEnded(ended);
    }

    /// <summary>Approves a device by a signature of the identity key. Any device of the account may submit it.</summary>
    public Task<Device> ApproveAsync(Caller caller, Guid deviceId, ApproveDeviceRequest request, CancellationToken cancellationToken)
    {
        if (request.SealedIdentity?.Length > SealedIdentityBytes)
            throw ApiException.TooLarge("sealedIdentity", SealedIdentityBytes);
        quotas.Spend(caller.UserId, request.SealedIdentity?.Length ?? 0);
        return rooms.ChangeAsync(
            caller.UserId,
            async transaction =>
            {
                var device = await DeviceStore.RequireAsync(transaction, caller.UserId, deviceId, cancellationToken);
                var identityKey = await DeviceStore.FindIdentityKeyAsync(transaction, caller.UserId, cancellationToken);
                RequireSigned(identityKey, caller.UserId, deviceId, device.SignatureKey, request.IdentitySignature);
                // A second signature would contradict the credentials in its KeyPackages and leaves.
                if (device.IdentitySignature is not null && !Same(device.IdentitySignature, request.IdentitySignature))
                    throw new ApiException(ErrorCode.Conflict, "The device is already approved with a different signature.");
                await DeviceStore.ApproveAsync(transaction, deviceId, request, cancellationToken);
                var approved = device with { IdentitySignature = request.IdentitySignature, SealedIdentity = request.SealedIdentity };
                return (approved.ToDevice(caller, identityKey), device.IdentitySignature is null);
            },
            cancellationToken);
    }

    /// <summary>Deletes the sealed identity of the calling device, which has stored it. Idempotent.</summary>
    public Task AcknowledgeAsync(Caller caller, Guid deviceId, CancellationToken cancellationToken) => database.WriteAsync(
        async transaction =>
        {
            await DeviceStore.RequireCurrentAsync(transaction, caller, deviceId, cancellationToken);
            await DeviceStore.DropSealedAsync(transaction, deviceId, cancellationToken);
        },
        cancellationToken);

    public Task<Device> RotateAsync(Caller caller, Guid deviceId, RotateDeviceRequest request, CancellationToken cancellationToken)
    {
        RequireKeys(request.SignatureKey, request.LinkKey);
        return rooms.ChangeAsync(caller.UserId, transaction => RotateAsync(transaction, caller, deviceId, request, cancellationToken), cancellationToken);
    }

    public Task ReplaceIdentityAsync(Caller caller, ReplaceIdentityRequest request, CancellationToken cancellationToken)
    {
        RequireIdentityKey(request.IdentityKey);
        return rooms.ChangeAsync(caller.UserId, transaction => ReplaceIdentityAsync(transaction, caller, request, cancellationToken), cancellationToken);
    }

    public async Task RevokeAsync(Caller caller, Guid deviceId, CancellationToken cancellationToken)
    {
        var ended = await rooms.ChangeAsync(
            caller.UserId,
            async transaction =>
            {
                var device = await DeviceStore.RequireAsync(transaction, caller.UserId, deviceId, cancellationToken);
                return (await RemoveAsync(transaction, device, cancellationToken), device.IdentitySignature is not null);
            },
            cancellationToken);
        RaiseEnded(ended);
    }

    /// <summary>
    /// Removes devices last seen before a day, and devices without approval whose session has ended, each in its own transaction. Returns their number.
    /// </summary>
    public async Task<int> PurgeAsync(DateTime before, int batch, CancellationToken cancellationToken)
    {
        var day = before.ToDay();
        return await PurgeAsync(
                () => devices.FindUnseenAsync(day, batch, cancellationToken),
                (transaction, device) => DeviceStore.FindUnseenAsync(transaction, device, day, cancellationToken),
                batch, cancellationToken)
            + await PurgeAsync(
                () => devices.FindEndedAsync(batch, cancellationToken),
                (transaction, device) => DeviceStore.FindEndedAsync(transaction, device, cancellationToken),
                batch, cancellationToken);
    }

    private async Task<((Device Device, bool Created, Guid? Ended) Result, bool AffectsRooms)> RegisterAsync(
        DbTransaction transaction, Caller caller, RegisterDeviceRequest request, CancellationToken cancellationToken)
    {
        foreach (var gone in await DeviceStore.ListEndedAsync(transaction, caller.UserId, cancellationToken))
            await RemoveAsync(transaction, gone, cancellationToken);
        var own = await DeviceStore.ListAsync(transaction, caller.UserId, cancellationToken);
        var identityKey = await DeviceStore.FindIdentityKeyAsync(transaction, caller.UserId, cancellationToken);
        if (own.Find(device => device.Id == request.Id) is { } earlier)
        {
            return earlier.SessionId == caller.SessionId && Same(earlier.SignatureKey, request.SignatureKey) && Same(earlier.LinkKey, request.LinkKey)
                ? ((earlier.ToDevice(caller, identityKey), false, null), false)
                : throw new ApiException(ErrorCode.Conflict, "This device is already registered with other keys or for another session.");
        }

        if (own.Exists(device => device.SessionId == caller.SessionId))
            throw new ApiException(ErrorCode.Conflict, "This session is already bound to a device.");
        Guid? ended = null;
        if (own.Count >= limits.Devices)
        {
            var oldest = await DeviceStore.FindOldestWaitingAsync(transaction, caller.UserId, cancellationToken)
                ?? throw new ApiException(ErrorCode.TooLarge, $"An account may have at most {limits.Devices} devices. Remove one first.");
            ended = await RemoveAsync(transaction, oldest, cancellationToken);
        }

        if (own.Count == 0)
        {
            if (request.IdentityKey is null || request.IdentitySignature is null)
            {
                throw ApiException.Invalid(
                    "The first device must have identityKey and identitySignature.", request.IdentityKey is null ? "identityKey" : "identitySignature");
            }

            identityKey = request.IdentityKey;
            await DeviceStore.SetIdentityKeyAsync(transaction, caller.UserId, identityKey, cancellationToken);
            await DeviceListStore.DropForAsync(transaction, caller.UserId, identityKey, cancellationToken);
        }
        else if (request.IdentityKey is not null && !Same(request.IdentityKey, identityKey))
        {
            throw new ApiException(ErrorCode.Conflict, "The account has a different identity key.");
        }

        RequireSigned(identityKey, caller.UserId, request.Id, request.SignatureKey, request.IdentitySignature);
        if (!await devices.TryInsertAsync(transaction, caller, request, cancellationToken))
            throw new ApiException(ErrorCode.Conflict, "This device id or signature key is already in use.");
        var row = await DeviceStore.RequireAsync(transaction, caller.UserId, request.Id, cancellationToken);
        return ((row.ToDevice(caller, identityKey), true, ended), request.IdentitySignature is not null);
    }

    private static async Task<(Device Result, bool AffectsRooms)> RotateAsync(
        DbTransaction transaction, Caller caller, Guid deviceId, RotateDeviceRequest request, CancellationToken cancellationToken)
    {
        var device = await DeviceStore.RequireCurrentAsync(transaction, caller, deviceId, cancellationToken);
        var identityKey = await DeviceStore.FindIdentityKeyAsync(transaction, caller.UserId, cancellationToken);
        RequireSigned(identityKey, caller.UserId, deviceId, request.SignatureKey, request.IdentitySignature);
        if (Same(device.SignatureKey, request.SignatureKey))
        {
            return Same(device.LinkKey, request.LinkKey) && Same(device.IdentitySignature, request.IdentitySignature)
                ? (device.ToDevice(caller, identityKey), false)
                : throw ApiException.Invalid("signatureKey must be a new key.", "signatureKey");
        }

        var own = await DeviceStore.ListAsync(transaction, caller.UserId, cancellationToken);
        if (own.Exists(other => Same(other.SignatureKey, request.SignatureKey)))
            throw new ApiException(ErrorCode.Conflict, "This signature key belongs to another device.");
        await DeviceStore.RotateAsync(transaction, deviceId, request, cancellationToken);
        await KeyPackageStore.DropAsync(transaction, deviceId, cancellationToken);
        await WelcomeStore.DropAsync(transaction, deviceId, cancellationToken);
        var rotated = device with
        {
            SignatureKey = request.SignatureKey,
            LinkKey = request.LinkKey,
            IdentitySignature = request.IdentitySignature,
            SealedIdentity = null,
        };
        return (rotated.ToDevice(caller, identityKey), device.IdentitySignature is not null || request.IdentitySignature is not null);
    }

    private static async Task<(bool Result, bool AffectsRooms)> ReplaceIdentityAsync(
        DbTransaction transaction, Caller caller, ReplaceIdentityRequest request, CancellationToken cancellationToken)
    {
        var device = await DeviceStore.RequireCurrentAsync(transaction, caller, request.DeviceId, cancellationToken);
        RequireSigned(request.IdentityKey, caller.UserId, device.Id, device.SignatureKey, request.IdentitySignature);
        var before = await DeviceStore.FindIdentityKeyAsync(transaction, caller.UserId, cancellationToken);
        if (Same(before, request.IdentityKey) && Same(device.IdentitySignature, request.IdentitySignature))
            return (false, false);
        await DeviceStore.SetIdentityKeyAsync(transaction, caller.UserId, request.IdentityKey, cancellationToken);
        await DeviceListStore.DropForAsync(transaction, caller.UserId, request.IdentityKey, cancellationToken);
        await DeviceStore.ResignAsync(transaction, caller.UserId, request, cancellationToken);
        // Their credentials have the old identity, and a device without approval receives nothing.
        foreach (var other in await DeviceStore.ListAsync(transaction, caller.UserId, cancellationToken))
        {
            await KeyPackageStore.DropAsync(transaction, other.Id, cancellationToken);
            if (other.Id != device.Id)
                await WelcomeStore.DropAsync(transaction, other.Id, cancellationToken);
        }

        return (true, true);
    }

    private async Task<int> PurgeAsync(
        Func<Task<List<DeviceRow>>> find, Func<DbTransaction, DeviceRow, Task<DeviceRow?>> findAgain, int batch, CancellationToken cancellationToken)
    {
        for (var total = 0; ;)
        {
            var found = await find();
            foreach (var device in found)
                total += await PurgeAsync(device, findAgain, cancellationToken) ? 1 : 0;
            if (found.Count < batch)
                return total;
        }
    }

    private async Task<bool> PurgeAsync(DeviceRow found, Func<DbTransaction, DeviceRow, Task<DeviceRow?>> findAgain, CancellationToken cancellationToken)
    {
        try
        {
            var (removed, ended) = await rooms.ChangeAsync(
                found.UserId,
                async transaction =>
                {
                    // Another node may have removed the device, or it was seen again.
                    return await findAgain(transaction, found) is { } device
                        ? ((true, await RemoveAsync(transaction, device, cancellationToken)), device.IdentitySignature is not null)
                        : ((false, null), false);
                },
                cancellationToken);
            RaiseEnded(ended);
            return removed;
        }
        catch (ApiException exception) when (exception.Code == ErrorCode.Unauthenticated)
        {
            // The account was erased meanwhile, with its devices.
            return false;
        }
    }

    private async Task<Guid?> RemoveAsync(DbTransaction transaction, DeviceRow device, CancellationToken cancellationToken)
    {
        await WelcomeStore.DropAsync(transaction, device.Id, cancellationToken);
        await DeviceStore.DeleteAsync(transaction, device, cancellationToken);
        return await EndSessionAsync(transaction, device, cancellationToken);
    }

    /// <summary>Ends the device's session and returns it. Null: it had none, or it has ended already.</summary>
    private async Task<Guid?> EndSessionAsync(DbTransaction transaction, DeviceRow device, CancellationToken cancellationToken) =>
        device.SessionId is { } sessionId && await sessions.EndAsync(transaction, device.UserId, sessionId, cancellationToken) ? sessionId : null;

    private void RaiseEnded(Guid? sessionId)
    {
        if (sessionId is { } ended)
            sessionEvents.RaiseEnded(ended, SessionEndReason.LoggedOut);
    }

    private static void RequireKeys(byte[] signatureKey, byte[] linkKey)
    {
        if (!DeviceCredential.IsPublicKey(signatureKey))
            throw ApiException.Invalid("signatureKey must be an Ed25519 public key.", "signatureKey");
        if (linkKey.Length != DeviceCredential.KeyLength)
            throw ApiException.Invalid($"linkKey must have {DeviceCredential.KeyLength} bytes.", "linkKey");
    }

    private static void RequireIdentityKey(byte[] identityKey)
    {
        if (!DeviceCredential.IsPublicKey(identityKey))
            throw ApiException.Invalid("identityKey must be an Ed25519 public key.", "identityKey");
    }

    private static void RequireSigned(byte[]? identityKey, Guid userId, Guid deviceId, byte[] signatureKey, byte[]? signature)
    {
        if (signature is not null && (identityKey is null || !DeviceCredential.Verify(identityKey, userId, deviceId, signatureKey, signature)))
            throw ApiException.Invalid("identitySignature is not a signature of the identity key over this device.", "identitySignature");
    }

    private static bool Same(byte[]? one, byte[]? other) => one is null || other is null ? one == other : one.AsSpan().SequenceEqual(other);
}
