using System.Data.Common;
using Dapper;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Encryption;

/// <summary>A device with the keys that its KeyPackages must have.</summary>
internal sealed record DeviceKeyRow
{
    public Guid Id { get; init; }
    public Guid UserId { get; init; }
    public Guid? SessionId { get; init; }
    public byte[] SignatureKey { get; init; } = [];
    public byte[]? IdentitySignature { get; init; }
    public byte[] IdentityKey { get; init; } = [];

    public bool HasKeysOf(DeviceKeyRow other) => SignatureKey.AsSpan().SequenceEqual(other.SignatureKey)
        && IdentitySignature.AsSpan().SequenceEqual(other.IdentitySignature) && IdentityKey.AsSpan().SequenceEqual(other.IdentityKey);
}

internal sealed record CandidateRow
{
    public Guid Id { get; init; }
    public Guid UserId { get; init; }
}

internal sealed record KeyPackageRow
{
    public byte[] Reference { get; init; } = [];
    public Guid DeviceId { get; init; }
    public byte[] Content { get; init; } = [];
    public bool Used { get; init; }
}

/// <param name="Taken">The claimed KeyPackages.</param>
/// <param name="Low">Devices that must upload more, with the number of single-use KeyPackages that they have left.</param>
internal sealed record KeyPackageClaim(List<KeyPackageRow> Taken, Dictionary<Guid, int> Low);

/// <summary>The KeyPackage directory (RFC 9420 section 10). Each KeyPackage is claimed at most once.</summary>
/// <remarks>
/// A claim deletes the content of the KeyPackage in its transaction, so no two claims return the same one. The reference stays until the KeyPackage's expiry:
/// Welcomes find their device by it, and it prevents a second upload.
/// </remarks>
internal sealed class KeyPackageStore(Database database, TimeProvider time, IOptions<DevicesOptions> options)
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

    // All devices in one statement. Rows locked by another claim are skipped, so claims do not wait and return no KeyPackage twice.
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

    private const string DropSql = "delete from key_packages where device_id = @DeviceId";

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

    private string MarkUsedSql =>
        $"update key_packages set used = {(database.IsPostgres ? "true" : "1")} where reference {database.AnyOf("References")} and not used";

    private string LeftSql => $"""
        select device_id, count(*) as available from key_packages
        where device_id {database.AnyOf("DeviceIds")} and content is not null and not last_resort and expires_at > @Now group by device_id
        """;

    public Task<DeviceKeyRow?> FindDeviceAsync(Caller caller, Guid deviceId, CancellationToken cancellationToken) => database.ReadAsync(
        connection => connection.QuerySingleAsync<DeviceKeyRow>(DeviceSql, new { DeviceId = deviceId, caller.UserId }, cancellationToken), cancellationToken);

    public Task<DeviceKeyRow?> LockDeviceAsync(DbTransaction transaction, Caller caller, Guid deviceId, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<DeviceKeyRow>(
            database.IsPostgres ? DeviceSql + PostgresLock : DeviceSql, new { DeviceId = deviceId, caller.UserId }, cancellationToken);

    /// <summary>The approved devices of these users, without the calling device.</summary>
    public Task<List<CandidateRow>> FindCandidatesAsync(Caller caller, IEnumerable<Guid> userIds, CancellationToken cancellationToken)
    {
        var parameters = new DynamicParameters(new { caller.SessionId });
        parameters.Add("UserIds", database.ListOf(userIds.Distinct()));
        return database.ReadAsync(connection => connection.QueryAsync<CandidateRow>(CandidatesSql, parameters, cancellationToken), cancellationToken);
    }

    public Task<KeyPackageStock> GetStockAsync(Caller caller, Guid deviceId, CancellationToken cancellationToken) => database.ReadAsync(
        async connection =>
        {
            if (await connection.QuerySingleAsync<DeviceKeyRow>(DeviceSql, new { DeviceId = deviceId, caller.UserId }, cancellationToken) is null)
                throw ApiException.NotFound();
            return (await connection.QuerySingleAsync<StockRow>(StockSql, new { DeviceId = deviceId, Now = time.Now() }, cancellationToken))!.ToStock();
        },
        cancellationToken);

    public static async Task<KeyPackageStock> GetStockAsync(DbTransaction transaction, Guid deviceId, DateTime now, CancellationToken cancellationToken) =>
        (await transaction.QuerySingleAsync<StockRow>(StockSql, new { DeviceId = deviceId, Now = now }, cancellationToken))!.ToStock();

    public static Task DropAsync(DbTransaction transaction, Guid deviceId, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(DropSql, new { DeviceId = deviceId }, cancellationToken);

    /// <summary>Deletes expired KeyPackages, one batch a transaction. Returns their number.</summary>
    public Task<int> PurgeAsync(DateTime now, int batch, CancellationToken cancellationToken) =>
        database.ExecuteInBatchesAsync(ExpireSql, new { Now = now, Limit = batch }, batch, cancellationToken);

    /// <summary>
    /// Takes one KeyPackage of each device in <paramref name="once"/>. The other devices in <paramref name="all"/>, and those without a single-use KeyPackage,
    /// give their last-resort one.
    /// </summary>
    public async Task<KeyPackageClaim> ClaimAsync(DbTransaction transaction, Guid[] once, Guid[] all, CancellationToken cancellationToken)
    {
        var now = time.Now();
        var taken = await TakeAsync(transaction, once, now, cancellationToken);
        var low = new Dictionary<Guid, int>();
        if (taken.Count < all.Length)
        {
            var served = taken.Select(package => package.DeviceId).ToHashSet();
            var lastResorts = await transaction.QueryAsync<KeyPackageRow>(
                LastResortsSql, Devices(all.Where(id => !served.Contains(id)), now), cancellationToken);
            var fresh = lastResorts.Where(package => !package.Used).ToList();
            if (fresh.Count > 0)
            {
                var parameters = new DynamicParameters();
                parameters.Add("References", database.ListOf(fresh.Select(package => package.Reference)));
                await transaction.ExecuteAsync(MarkUsedSql, parameters, cancellationToken);
                fresh.ForEach(package => low[package.DeviceId] = 0);
            }

            taken.AddRange(lastResorts);
            // These devices have no KeyPackage left.
            served.UnionWith(lastResorts.Select(package => package.DeviceId));
            foreach (var id in once.Where(id => !served.Contains(id)))
                low[id] = 0;
        }

        if (once.Length > 0 || low.Count > 0)
        {
            var rows = await transaction.QueryAsync<LeftRow>(LeftSql, Devices(all, now), cancellationToken);
            var left = rows.ToDictionary(row => row.DeviceId, row => row.Available);
            foreach (var id in once.Concat(low.Keys.ToList()))
            {
                var available = left.GetValueOrDefault(id);
                if (available < options.Value.LowStock || low.ContainsKey(id))
                    low[id] = available;
            }
        }

        return new KeyPackageClaim(taken, low);
    }

    private async Task<List<KeyPackageRow>> TakeAsync(DbTransaction transaction, Guid[] deviceIds, DateTime now, CancellationToken cancellationToken)
    {
        if (deviceIds.Length == 0)
            return [];
        if (database.IsPostgres)
            return await transaction.QueryAsync<KeyPackageRow>(PostgresTakeSql, Devices(deviceIds, now), cancellationToken);
        var taken = new List<KeyPackageRow>();
        foreach (var deviceId in deviceIds)
        {
            if (await transaction.QuerySingleAsync<KeyPackageRow>(SqlitePickSql, new { DeviceId = deviceId, Now = now }, cancellationToken) is not { } package)
                continue;
            await transaction.ExecuteAsync(SqliteTakeSql, new { package.Reference }, cancellationToken);
            taken.Add(package);
        }

        return taken;
    }

    /// <summary>False: the KeyPackage was uploaded before, and is not the current last-resort one.</summary>
    public static async Task<bool> TryReplaceLastResortAsync(
        DbTransaction transaction, Guid deviceId, CheckedKeyPackage package, CancellationToken cancellationToken)
    {
        if (await transaction.QuerySingleAsync<int>(IsLastResortSql, new { package.Reference, DeviceId = deviceId }, cancellationToken) > 0)
            return true;
        await transaction.ExecuteAsync(RetireLastResortSql, new { DeviceId = deviceId }, cancellationToken);
        return await InsertAsync(transaction, deviceId, package, lastResort: true, cancellationToken) > 0;
    }

    /// <summary>Does not change a known KeyPackage: an earlier attempt has stored it, or it was claimed since.</summary>
    public static Task<int> InsertAsync(
        DbTransaction transaction, Guid deviceId, CheckedKeyPackage package, bool lastResort, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(
            InsertSql, new { package.Reference, DeviceId = deviceId, package.Message, LastResort = lastResort, package.ExpiresAt }, cancellationToken);

    private DynamicParameters Devices(IEnumerable<Guid> deviceIds, DateTime now)
    {
        var parameters = new DynamicParameters(new { Now = now });
        parameters.Add("DeviceIds", database.ListOf(deviceIds));
        return parameters;
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
