using System.Security.Cryptography;
using System.Text;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Accounts;

/// <summary>
/// Keeps addresses unreadable to whoever has the database but not the server's secret: encrypted for showing them to their owner,
/// and hashed with a key for finding them.
/// </summary>
internal sealed class EmailCipher(ServerSecret secret)
{
    private readonly RowCipher cipher = new(secret.DeriveKey("email"));
    private readonly byte[] hashKey = secret.DeriveKey("email-hash");

    /// <summary>The same for an address in any letter case.</summary>
    public byte[] Hash(string email) => HMACSHA256.HashData(hashKey, Encoding.UTF8.GetBytes(email.ToLowerInvariant()));

    public byte[] Encrypt(string email, Guid userId) => cipher.Encrypt(email, userId);

    public string Decrypt(byte[] sealedBytes, Guid userId) => cipher.Decrypt(sealedBytes, userId);
}
