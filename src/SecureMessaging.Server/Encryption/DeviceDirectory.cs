using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Encryption;

/// <summary>The public keys of accounts: identity keys and approved devices.</summary>
internal sealed class DeviceDirectory(Database database, AccountRules rules)
{
    private const string Columns = "u.id as user_id, u.username, k.public_key as identity_key, d.id as device_id, d.signature_key, d.identity_signature";

    private const string Keys = $"""
        left join identity_keys k on k.user_id = u.id
        left join devices d on d.user_id = u.id and d.identity_signature is not null and d.scheme = '{Schemes.Mls10}'
        """;

    private const string OfUserSql = $"select {Columns} from users u {Keys} where u.username = @Username and not u.disabled order by d.created_on, d.id";

    // One statement: the membership and the keys are one snapshot.
    private const string OfRoomSql = $"""
        select {Columns} from room_members me
        join room_members m on m.room_id = me.room_id
        join users u on u.id = m.user_id {Keys}
        where me.room_id = @RoomId and me.user_id = @UserId
        order by m.joined_seq, d.created_on, d.id
        """;

    public async Task<UserKeys> OfUserAsync(string username, CancellationToken cancellationToken)
    {
        var name = rules.FoldUsername(username) ?? throw ApiException.NotFound();
        var rows = await database.ReadAsync(
            connection => connection.QueryAsync<KeyRow>(OfUserSql, new { Username = name }, cancellationToken), cancellationToken);
        return Group(rows).SingleOrDefault() ?? throw ApiException.NotFound();
    }

    public async Task<UserKeys[]> OfRoomAsync(Caller caller, Guid roomId, CancellationToken cancellationToken)
    {
        var rows = await database.ReadAsync(
            connection => connection.QueryAsync<KeyRow>(OfRoomSql, new { RoomId = roomId, caller.UserId }, cancellationToken), cancellationToken);
        return rows.Count == 0 ? throw ApiException.NotFound() : [.. Group(rows)];
    }

    private static IEnumerable<UserKeys> Group(List<KeyRow> rows) => rows.GroupBy(row => row.UserId).Select(user => new UserKeys(
        user.Key, user.First().Username, user.First().IdentityKey,
        [.. user.Where(row => row.DeviceId is not null).Select(row => new DeviceKeys(row.DeviceId!.Value, row.SignatureKey!, row.IdentitySignature!))]));

    private sealed record KeyRow
    {
        public Guid UserId { get; init; }
        public string Username { get; init; } = "";
        public byte[]? IdentityKey { get; init; }
        public Guid? DeviceId { get; init; }
        public byte[]? SignatureKey { get; init; }
        public byte[]? IdentitySignature { get; init; }
    }
}
