using System.Data.Common;
using System.Security.Cryptography;
using System.Text;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Keys;

namespace SecureMessaging.Server.Accounts;

/// <summary>
/// Usernames of deleted accounts. Such a name is not handed out again for a year: contacts know people by their names, and another person with the name could
/// be taken for its former owner.
/// </summary>
/// <remarks>
/// A row has only a keyed hash and the day, so the names cannot be listed, and no row leads to an account. The former owner cannot take the name back either:
/// the row does not know who that was. There is no operation that renames an account. One that comes must call <see cref="ReleaseAsync"/> for the old name.
/// </remarks>
internal sealed class ReleasedNames(Database database, ServerSecret secret, TimeProvider time)
{
    public static readonly TimeSpan Reserved = TimeSpan.FromDays(365);

    /// <summary>The first byte of a hash: which key made it. Another key gets another number, and old rows stay valid until they are purged.</summary>
    private const byte KeyVersion = 1;

    private const string ReleaseSql = """
        insert into released_names (name_hash, released_on) values (@NameHash, @Today)
        on conflict (name_hash) do update set released_on = excluded.released_on
        """;

    private const string FindSql = "select count(*) from released_names where name_hash = @NameHash and released_on >= @Since";

    private const string PurgeSql =
        "delete from released_names where name_hash in (select name_hash from released_names where released_on < @Since limit @Batch)";

    private readonly byte[] key = secret.DeriveKey("released-names");

    /// <summary>Runs in the transaction that deletes the account.</summary>
    public Task ReleaseAsync(DbTransaction transaction, string username, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(ReleaseSql, new { NameHash = Hash(username), Today = time.Now().ToDay() }, cancellationToken);

    /// <summary>
    /// Whether the name was released within the last year. Call it after the insert of the account: the unique name makes that insert wait for a concurrent
    /// deletion.
    /// </summary>
    public async Task<bool> IsReservedAsync(DbTransaction transaction, string username, CancellationToken cancellationToken) =>
        await transaction.QuerySingleAsync<int>(FindSql, new { NameHash = Hash(username), Since = SinceOf(time.Now()) }, cancellationToken) > 0;

    public Task<int> PurgeAsync(DateTime now, int batch, CancellationToken cancellationToken) =>
        database.ExecuteInBatchesAsync(PurgeSql, new { Since = SinceOf(now), Batch = batch }, batch, cancellationToken);

    private static DateTime SinceOf(DateTime now) => now.ToDay() - Reserved;

    private byte[] Hash(string username) => [KeyVersion, .. HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(username))];
}
