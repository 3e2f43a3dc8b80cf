using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Trust;

namespace SecureMessaging.Server.Encryption;

/// <summary>The signed device lists of accounts, by number from 1 without gaps.</summary>
internal sealed class DeviceListStore(Database database)
{
    /// <summary>Lists of one page. A page of the longest lists has about one MiB.</summary>
    public const int PageLists = 100;

    private const string NewestSql = "select list from device_lists where user_id = @UserId order by number desc limit 1";

    private const string OneSql = "select list from device_lists where user_id = @UserId and number = @Number";

    private const string InsertSql = "insert into device_lists (user_id, number, list) values (@UserId, @Number, @List)";

    private const string DropSql = "delete from device_lists where user_id = @UserId";

    // Also of a disabled account: it can still have devices in the groups of others.
    private const string PageSql = """
        select (select coalesce(max(number), 0) from device_lists where user_id = u.id) as newest, l.list
        from users u left join (select user_id, number, list from device_lists where user_id = @UserId and number > @After order by number limit @Limit) l
            on l.user_id = u.id
        where u.id = @UserId order by l.number
        """;

    public async Task<DeviceLists> ReadAsync(Guid userId, long after, CancellationToken cancellationToken)
    {
        Positions.Require("after", after);
        var rows = await database.ReadAsync(
            connection => connection.QueryAsync<PageRow>(PageSql, new { UserId = userId, After = after, Limit = PageLists }, cancellationToken),
            cancellationToken);
        return rows.Count == 0 ? throw ApiException.NotFound() : new DeviceLists(rows[0].Newest, [.. rows.Select(row => row.List).OfType<byte[]>()]);
    }

    public static async Task<DeviceList?> FindNewestAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken) =>
        DeviceList.TryRead(await transaction.QuerySingleAsync<byte[]>(NewestSql, new { UserId = userId }, cancellationToken));

    public static Task<byte[]?> FindAsync(DbTransaction transaction, Guid userId, long number, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<byte[]>(OneSql, new { UserId = userId, Number = number }, cancellationToken);

    public static Task InsertAsync(DbTransaction transaction, Guid userId, long number, byte[] list, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(InsertSql, new { UserId = userId, Number = number, List = list }, cancellationToken);

    /// <summary>
    /// Deletes the chain of an account that has an identity key from elsewhere: no key that could continue the chain is left. A chain whose newest list has
    /// the key stays.
    /// </summary>
    public static async Task DropForAsync(DbTransaction transaction, Guid userId, byte[] identityKey, CancellationToken cancellationToken)
    {
        var newest = await FindNewestAsync(transaction, userId, cancellationToken);
        if (newest is not null && !newest.Identity.AsSpan().SequenceEqual(identityKey))
            await transaction.ExecuteAsync(DropSql, new { UserId = userId }, cancellationToken);
    }

    private sealed record PageRow
    {
        public long Newest { get; init; }
        public byte[]? List { get; init; }
    }
}
