using System.Data.Common;
using Dapper;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Devices;

/// <summary>The KeyPackage directory (RFC 9420 section 10): devices fill it, others take from it, each of its entries once.</summary>
/// <remarks>
/// A claimed KeyPackage loses its content in the claiming transaction, so no two claims return the same; its reference stays until it would have expired, so that
/// Welcomes find their device and it cannot be uploaded again.
/// </remarks>
internal sealed class KeyPackageStore(
    Database database, RateLimits rates, ByteQuotas quotas, DeviceEvents events, TimeProvider time, Limits limits, IOptions<DevicesOptions> options)
{
    private const string DeviceSql = $"""
        select d.id, d.user_id, d.session_id, d.signature_key, d.identity_signature, k.public_key as identity_key
        from devices d join identity_keys k on k.user_id = d.user_id
        where d.id = @DeviceId and d.user_id = @UserId and d.scheme = '{Schemes.Mls10}'
        """;

    private const string PostgresLock = " for no key update of d";

    private const string StockSql = """
        select
            coalesce(sum(case when not last_resort then 1 else 0 end), 0) as available,
            coalesce(sum(case when last_resort then 1 else 0 end), 0) as last_resorts,
            coalesce(sum(case when last_resort and used then 1 else 0 end), 0) as last_resorts_used
        from key_packages where device_id = @DeviceId and content is not null and expires_at > @Now
        """;

    private const string InsertSql = """
        insert into key_packages (reference, device_id, content, last_resort, expires_at) values (@Reference, @DeviceId, @Message, @LastResort, @ExpiresAt)
        on conflict do nothing
        """;

    private const string IsLastResortSql = """
        select count(*) from key_packages where reference = @Reference and device_id = @DeviceId and last_resort and content is not null
        """;

    private const string RetireLastResortSql = "update key_packages set content = null where device_id = @DeviceId and last_resort and content is not null";

    // All devices in one statement. What another claim is taking is passed over: there is no waiting, and nothing is taken twice.
    private const string PostgresTakeSql = """
        with picked as materialized (
            select k.* from unnest(@DeviceIds) d (id) cross join lateral (
                select reference, device_id, content from key_packages
                where device_id = d.id and content is not null and not last_resort and expires_at > @Now
                order by expires_at limit 1 for update skip locked) k),
        taken as (update key_packages k set content = null from picked p where k.reference = p.reference)
        select reference, device_id, content from picked
        """;

    private const string SqlitePickSql = """
        select reference, device_id, content from key_packages
        where device_id = @DeviceId and content is not null and not last_resort and expires_at > @Now order by expires_at limit 1
        """;

    private const string SqliteTakeSql = "update key_packages set content = null where reference = @Reference";

    private const string ExpireSql = "delete from key_packages where reference in (select reference from key_packages where expires_at <= @Now limit @Limit)";

    private string CandidatesSql => $"""
        select d.id, d.user_id from devices d join users u on u.id = d.user_id
        where d.user_id {database.AnyOf("UserIds")} and not u.disabled and d.identity_signature is not null and d.scheme = '{Schemes.Mls10}'
          and (d.session_id is null or d.session_id <> @SessionId)
        order by d.id
        """;

    private string LastResortsSql => $"""
        select reference, device_id, content, used from key_packages
        where device_id {database.AnyOf("DeviceIds")} and content is not null and last_resort and expires_at > @Now order by device_id
        """;

    private string MarkUsedSql => $"update key_packages set used = {(database.IsPostgres ? "true" : "1")} where reference {database.AnyOf("References")} and not used";

    private string LeftSql => $"""
        select device_id, count(*) as available from key_packages
        where device_id {database.AnyOf("DeviceIds")} and content is not null and not last_resort and expires_at > @Now group by device_id
        """;

    public async Task<KeyPackageStock> UploadAsync(Caller caller, Guid deviceId, UploadKeyPackagesRequest request, CancellationToken cancellationToken)
    {
        RequireSizes(request);
        var device = await database.ReadAsync(
            connection => connection.QuerySingleAsync<DeviceKeyRow>(DeviceSql, new { DeviceId = deviceId, caller.UserId }, cancellationToken), cancellationToken);
        RequireReady(device, caller);
        quotas.Spend(caller.UserId, request.KeyPackages.Sum(package => (long)package.Length) + (request.LastResort?.Length ?? 0));
        // Outside the transaction, for signatures cost time; the device must still be the same inside.
        var now = time.Now();
        var identity = DeviceCredential.Encode(caller.UserId, deviceId, device!.IdentityKey, device.IdentitySignature);
        var packages = request.KeyPackages.Select((package, index) => KeyPackageCheck.Require($"keyPackages/{index}", package, identity, device.SignatureKey, now)).ToList();
        var lastResort = request.LastResort is null ? null : KeyPackageCheck.Require("lastResort", request.LastResort, identity, device.SignatureKey, now);
        var references = new HashSet<KeyPackageReference>();
        for (var i = 0; i < packages.Count; i++)
        {
            if (!references.Add(KeyPackageReference.From(packages[i].Reference)))
                throw ApiException.Invalid("A KeyPackage is given twice.", $"keyPackages/{i}");
        }

        if (lastResort is not null && !references.Add(KeyPackageReference.From(lastResort.Reference)))
            throw ApiException.Invalid("A KeyPackage is given twice.", "lastResort");

        return await database.WriteAsync(
            async transaction =>
            {
                var locked = await transaction.QuerySingleAsync<DeviceKeyRow>(
                    database.IsPostgres ? DeviceSql + PostgresLock : DeviceSql, new { DeviceId = deviceId, caller.UserId }, cancellationToken);
                RequireReady(locked, caller);
                if (!locked!.SignatureKey.AsSpan().SequenceEqual(device.SignatureKey) || !locked.IdentitySignature.AsSpan().SequenceEqual(device.IdentitySignature)
                    || !locked.IdentityKey.AsSpan().SequenceEqual(device.IdentityKey))
                {
                    throw new ApiException(ErrorCode.Conflict, "The device's keys were changed at the same moment.");
                }

                foreach (var package in packages)
                    await InsertAsync(transaction, deviceId, package, lastResort: false, cancellationToken);
                if (lastResort is not null)
                    await ReplaceLastResortAsync(transaction, deviceId, lastResort, cancellationToken);
                var stock = (await transaction.QuerySingleAsync<StockRow>(StockSql, new { DeviceId = deviceId, Now = now }, cancellationToken))!.ToStock();
                return stock.Available <= limits.KeyPackages
                    ? stock
                    : throw ApiException.TooMany($"A device has {limits.KeyPackages} KeyPackages at most.", "keyPackages");
            },
            cancellationToken);
    }

    public Task<KeyPackageStock> GetStockAsync(Caller caller, Guid deviceId, CancellationToken cancellationToken) => database.ReadAsync(
        async connection =>
        {
            if (await connection.QuerySingleAsync<DeviceKeyRow>(DeviceSql, new { DeviceId = deviceId, caller.UserId }, cancellationToken) is null)
                throw ApiException.NotFound();
            return (await connection.QuerySingleAsync<StockRow>(StockSql, new { DeviceId = deviceId, Now = time.Now() }, cancellationToken))!.ToStock();
        },
        cancellationToken);

    public async Task<ClaimedKeyPackages> ClaimAsync(Caller caller, ClaimKeyPackagesRequest request, CancellationToken cancellationToken)
    {
        if (request.UserIds.Length == 0 || request.UserIds.Length > limits.ClaimUsers)
            throw ApiException.Invalid($"A claim names 1 to {limits.ClaimUsers} accounts.", "userIds");
        if (request.DeviceIds?.Length > limits.ClaimUsers * limits.Devices)
            throw ApiException.Invalid($"A claim names {limits.ClaimUsers * limits.Devices} devices at most.", "deviceIds");
        var parameters = new DynamicParameters(new { caller.SessionId });
        parameters.Add("UserIds", database.ListOf(request.UserIds.Distinct()));
        var devices = await database.ReadAsync(connection => connection.QueryAsync<CandidateRow>(CandidatesSql, parameters, cancellationToken), cancellationToken);
        if (request.DeviceIds is not null)
        {
            var wanted = request.DeviceIds.ToHashSet();
            devices.RemoveAll(device => !wanted.Contains(device.Id));
        }

        if (devices.Count == 0)
            return new ClaimedKeyPackages([]);
        rates.Claims.Spend(caller.UserId, devices.Count);
        Guid[] once = [.. devices.Where(device => device.UserId == caller.UserId || rates.ClaimsOfDevice.TrySpend((caller.UserId, device.Id), 1, out _)).Select(device => device.Id)];
        Guid[] all = [.. devices.Select(device => device.Id)];
        var claim = await database.WriteAsync(transaction => ClaimAsync(transaction, once, all, cancellationToken), cancellationToken);
        var owners = devices.ToDictionary(device => device.Id, device => device.UserId);
        foreach (var (deviceId, available) in claim.Low)
            events.RaiseKeyPackagesLow(owners[deviceId], deviceId, available);
        return new ClaimedKeyPackages([.. claim.Taken.Select(package => new ClaimedKeyPackage(owners[package.DeviceId], package.DeviceId, package.Content))]);
    }

    /// <summary>Every KeyPackage of the device, with its reference.</summary>
    public static Task DropAsync(DbTransaction transaction, Guid deviceId, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync("delete from key_packages where device_id = @DeviceId", new { DeviceId = deviceId }, cancellationToken);

    /// <summary>Deletes what has expired, a batch a transaction. Returns how many.</summary>
    public async Task<int> PurgeAsync(DateTime now, int batch, CancellationToken cancellationToken)
    {
        for (var total = 0; ;)
        {
            var count = await database.ExecuteAsync(ExpireSql, new { Now = now, Limit = batch }, cancellationToken);
            total += count;
            if (count < batch)
                return total;
        }
    }

    private async Task<Claim> ClaimAsync(DbTransaction transaction, Guid[] once, Guid[] all, CancellationToken cancellationToken)
    {
        var now = time.Now();
        var taken = await TakeAsync(transaction, once, now, cancellationToken);
        var low = new Dictionary<Guid, int>();
        if (taken.Count < all.Length)
        {
            var served = taken.Select(package => package.DeviceId).ToHashSet();
            var lastResorts = await transaction.QueryAsync<PackageRow>(LastResortsSql, Devices(all.Where(id => !served.Contains(id)), now), cancellationToken);
            var fresh = lastResorts.Where(package => !package.Used).ToList();
            if (fresh.Count > 0)
            {
                var parameters = new DynamicParameters();
                parameters.Add("References", database.ListOf(fresh.Select(package => package.Reference)));
                await transaction.ExecuteAsync(MarkUsedSql, parameters, cancellationToken);
                fresh.ForEach(package => low[package.DeviceId] = 0);
            }

            taken.AddRange(lastResorts);
            // Nothing at all is left of these.
            served.UnionWith(lastResorts.Select(package => package.DeviceId));
            foreach (var id in once.Where(id => !served.Contains(id)))
                low[id] = 0;
        }

        if (once.Length > 0 || low.Count > 0)
        {
            var left = (await transaction.QueryAsync<LeftRow>(LeftSql, Devices(all, now), cancellationToken)).ToDictionary(row => row.DeviceId, row => row.Available);
            foreach (var id in once.Concat(low.Keys.ToList()))
            {
                var available = left.GetValueOrDefault(id);
                if (available < options.Value.LowStock || low.ContainsKey(id))
                    low[id] = available;
            }
        }

        return new Claim(taken, low);
    }

    private async Task<List<PackageRow>> TakeAsync(DbTransaction transaction, Guid[] deviceIds, DateTime now, CancellationToken cancellationToken)
    {
        if (deviceIds.Length == 0)
            return [];
        if (database.IsPostgres)
            return await transaction.QueryAsync<PackageRow>(PostgresTakeSql, Devices(deviceIds, now), cancellationToken);
        var taken = new List<PackageRow>();
        foreach (var deviceId in deviceIds)
        {
            if (await transaction.QuerySingleAsync<PackageRow>(SqlitePickSql, new { DeviceId = deviceId, Now = now }, cancellationToken) is not { } package)
                continue;
            await transaction.ExecuteAsync(SqliteTakeSql, new { package.Reference }, cancellationToken);
            taken.Add(package);
        }

        return taken;
    }

    private static async Task ReplaceLastResortAsync(DbTransaction transaction, Guid deviceId, CheckedKeyPackage package, CancellationToken cancellationToken)
    {
        if (await transaction.QuerySingleAsync<int>(IsLastResortSql, new { package.Reference, DeviceId = deviceId }, cancellationToken) > 0)
            return;
        await transaction.ExecuteAsync(RetireLastResortSql, new { DeviceId = deviceId }, cancellationToken);
        if (await InsertAsync(transaction, deviceId, package, lastResort: true, cancellationToken) == 0)
            throw ApiException.Invalid("The KeyPackage of last resort has been uploaded before.", "lastResort");
    }

    /// <summary>One that is known already is left as it is: in stock by an earlier attempt, or claimed since.</summary>
    private static Task<int> InsertAsync(DbTransaction transaction, Guid deviceId, CheckedKeyPackage package, bool lastResort, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(
            InsertSql, new { package.Reference, DeviceId = deviceId, package.Message, LastResort = lastResort, package.ExpiresAt }, cancellationToken);

    private DynamicParameters Devices(IEnumerable<Guid> deviceIds, DateTime now)
    {
        var parameters = new DynamicParameters(new { Now = now });
        parameters.Add("DeviceIds", database.ListOf(deviceIds));
        return parameters;
    }

    private void RequireSizes(UploadKeyPackagesRequest request)
    {
        if (request.KeyPackages.Length == 0 && request.LastResort is null)
            throw ApiException.Invalid("An upload has at least one KeyPackage.", "keyPackages");
        if (request.KeyPackages.Length > limits.KeyPackages)
            throw ApiException.TooMany($"A device has {limits.KeyPackages} KeyPackages at most.", "keyPackages");
        if (Array.IndexOf(request.KeyPackages, null) is >= 0 and var empty)
            throw ApiException.Invalid("A KeyPackage must not be null.", $"keyPackages/{empty}");
        if (Array.FindIndex(request.KeyPackages, package => package.Length > limits.KeyPackageBytes) is >= 0 and var large)
            throw ApiException.TooLarge($"keyPackages/{large}", limits.KeyPackageBytes);
        if (request.LastResort?.Length > limits.KeyPackageBytes)
            throw ApiException.TooLarge("lastResort", limits.KeyPackageBytes);
    }

    private static void RequireReady(DeviceKeyRow? device, Caller caller)
    {
        if (device is null)
            throw ApiException.NotFound();
        if (device.SessionId != caller.SessionId)
            throw new ApiException(ErrorCode.Forbidden, "This is for the device itself, in its session.");
        if (device.IdentitySignature is null)
            throw new ApiException(ErrorCode.Conflict, "The device waits for approval.");
    }

    private sealed record Claim(List<PackageRow> Taken, Dictionary<Guid, int> Low);

    private sealed record DeviceKeyRow
    {
        public Guid Id { get; init; }
        public Guid UserId { get; init; }
        public Guid? SessionId { get; init; }
        public byte[] SignatureKey { get; init; } = [];
        public byte[]? IdentitySignature { get; init; }
        public byte[] IdentityKey { get; init; } = [];
    }

    private sealed record CandidateRow
    {
        public Guid Id { get; init; }
        public Guid UserId { get; init; }
    }

    private sealed record PackageRow
    {
        public byte[] Reference { get; init; } = [];
        public Guid DeviceId { get; init; }
        public byte[] Content { get; init; } = [];
        public bool Used { get; init; }
    }

    private sealed record LeftRow
    {
        public Guid DeviceId { get; init; }
        public int Available { get; init; }
    }

    private sealed record StockRow
    {
        public int Available { get; init; }
        public int LastResorts { get; init; }
        public int LastResortsUsed { get; init; }

        public KeyPackageStock ToStock() => new(Available, LastResorts > 0, LastResortsUsed > 0);
    }
}
