using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Encryption;

/// <summary>Uploads to the KeyPackage directory and claims from it (RFC 9420 section 10), the same for all doors.</summary>
internal sealed class KeyPackageOperations(
    Database database, KeyPackageStore store, RateLimits rates, ByteQuotas quotas, DeviceEvents events, TimeProvider time, Limits limits)
{
    public async Task<KeyPackageStock> UploadAsync(Caller caller, Guid deviceId, UploadKeyPackagesRequest request, CancellationToken cancellationToken)
    {
        RequireSizes(request);
        var device = RequireReady(await store.FindDeviceAsync(caller, deviceId, cancellationToken), caller);
        quotas.Spend(caller.UserId, request.KeyPackages.Sum(package => (long)package.Length) + (request.LastResort?.Length ?? 0));
        // Outside the transaction, because checking signatures takes time. The transaction checks that the device's keys are unchanged.
        var now = time.Now();
        var identity = DeviceCredential.Encode(caller.UserId, deviceId, device.IdentityKey, device.IdentitySignature);
        var packages = request.KeyPackages.Select(
            (package, index) => KeyPackageCheck.Require($"keyPackages/{index}", package, identity, device.SignatureKey, now)).ToList();
        var lastResort = request.LastResort is null ? null : KeyPackageCheck.Require("lastResort", request.LastResort, identity, device.SignatureKey, now);
        RequireDistinct(packages, lastResort);
        return await database.WriteAsync(
            async transaction =>
            {
                if (!RequireReady(await store.LockDeviceAsync(transaction, caller, deviceId, cancellationToken), caller).HasKeysOf(device))
                    throw new ApiException(ErrorCode.Conflict, "The device's keys were changed by a concurrent request.");
                foreach (var package in packages)
                    await KeyPackageStore.InsertAsync(transaction, deviceId, package, lastResort: false, cancellationToken);
                if (lastResort is not null && !await KeyPackageStore.TryReplaceLastResortAsync(transaction, deviceId, lastResort, cancellationToken))
                    throw ApiException.Invalid("The last-resort KeyPackage was uploaded before.", "lastResort");
                var stock = await KeyPackageStore.GetStockAsync(transaction, deviceId, now, cancellationToken);
                return stock.Available <= limits.KeyPackages
                    ? stock
                    : throw ApiException.TooMany($"A device may have at most {limits.KeyPackages} KeyPackages.", "keyPackages");
            },
            cancellationToken);
    }

    /// <summary>
    /// Over the rate limit of a device the claim returns its last-resort KeyPackage, over the caller's rate limit it fails. A user's own devices have no rate
    /// limit.
    /// </summary>
    public async Task<ClaimedKeyPackages> ClaimAsync(Caller caller, ClaimKeyPackagesRequest request, CancellationToken cancellationToken)
    {
        if (request.UserIds.Length == 0 || request.UserIds.Length > limits.ClaimUsers)
            throw ApiException.Invalid($"A claim must name 1 to {limits.ClaimUsers} accounts.", "userIds");
        if (request.DeviceIds?.Length > limits.ClaimUsers * limits.Devices)
            throw ApiException.Invalid($"A claim may name at most {limits.ClaimUsers * limits.Devices} devices.", "deviceIds");
        var devices = await store.FindCandidatesAsync(caller, request.UserIds, cancellationToken);
        if (request.DeviceIds is not null)
        {
            var wanted = request.DeviceIds.ToHashSet();
            devices.RemoveAll(device => !wanted.Contains(device.Id));
        }

        if (devices.Count == 0)
            return new ClaimedKeyPackages([]);
        rates.Claims.Spend(caller.UserId, devices.Count);
        Guid[] once =
        [
            .. devices.Where(device => device.UserId == caller.UserId || rates.ClaimsOfDevice.TrySpend((caller.UserId, device.Id), 1, out _))
                .Select(device => device.Id),
        ];
        Guid[] all = [.. devices.Select(device => device.Id)];
        var claim = await database.WriteAsync(transaction => store.ClaimAsync(transaction, once, all, cancellationToken), cancellationToken);
        var owners = devices.ToDictionary(device => device.Id, device => device.UserId);
        foreach (var (deviceId, available) in claim.Low)
            events.RaiseKeyPackagesLow(owners[deviceId], deviceId, available);
        return new ClaimedKeyPackages([.. claim.Taken.Select(package => new ClaimedKeyPackage(owners[package.DeviceId], package.DeviceId, package.Content))]);
    }

    private void RequireSizes(UploadKeyPackagesRequest request)
    {
        if (request.KeyPackages.Length == 0 && request.LastResort is null)
            throw ApiException.Invalid("An upload must have at least one KeyPackage.", "keyPackages");
        if (request.KeyPackages.Length > limits.KeyPackages)
            throw ApiException.TooMany($"A device may have at most {limits.KeyPackages} KeyPackages.", "keyPackages");
        if (Array.IndexOf(request.KeyPackages, null) is >= 0 and var empty)
            throw ApiException.Invalid("A KeyPackage must not be null.", $"keyPackages/{empty}");
        if (Array.FindIndex(request.KeyPackages, package => package.Length > limits.KeyPackageBytes) is >= 0 and var large)
            throw ApiException.TooLarge($"keyPackages/{large}", limits.KeyPackageBytes);
        if (request.LastResort?.Length > limits.KeyPackageBytes)
            throw ApiException.TooLarge("lastResort", limits.KeyPackageBytes);
    }

    private static void RequireDistinct(List<CheckedKeyPackage> packages, CheckedKeyPackage? lastResort)
    {
        var references = new HashSet<KeyPackageReference>();
        for (var i = 0; i < packages.Count; i++)
        {
            if (!references.Add(KeyPackageReference.From(packages[i].Reference)))
                throw ApiException.Invalid("A KeyPackage is listed twice.", $"keyPackages/{i}");
        }

        if (lastResort is not null && !references.Add(KeyPackageReference.From(lastResort.Reference)))
            throw ApiException.Invalid("A KeyPackage is listed twice.", "lastResort");
    }

    private static DeviceKeyRow RequireReady(DeviceKeyRow? device, Caller caller)
    {
        if (device is null)
            throw ApiException.NotFound();
        if (device.SessionId != caller.SessionId)
            throw DeviceRow.NotCurrent();
        return device.IdentitySignature is not null ? device : throw new ApiException(ErrorCode.Conflict, "The device is not approved yet.");
    }
}
