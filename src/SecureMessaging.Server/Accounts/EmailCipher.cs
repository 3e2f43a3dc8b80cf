using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Keys;

namespace SecureMessaging.Server.Accounts;

/// <summary>
/// Protects e-mail addresses from a reader of the database without the server's secret: encrypted, to show them to their owner, and hashed with a key, to find
/// them.
/// </summary>
internal sealed class EmailCipher(ServerSecret secret)
{
    private static readonly IdnMapping Idn = new() { UseStd3AsciiRules = true };
    private readonly RowCipher cipher = new(secret.DeriveKey("email"));
    private readonly byte[] hashKey = secret.DeriveKey("email-hash");

    /// <summary>Equal for all letter cases and Unicode normal forms of an address, and for its domain in letters or Punycode.</summary>
    public byte[] Hash(string email)
    {
        var at = email.LastIndexOf('@');
        var mailbox = UnicodeText.ToNfc(email[..at].ToLowerInvariant()) ?? email[..at];
        return Mac($"{mailbox}@{ToAscii(email[(at + 1)..]) ?? email[(at + 1)..]}");
    }

    /// <summary>The hash of earlier versions, which did not normalise addresses.</summary>
    public byte[] OldHash(string email) => Mac(email);

    public byte[] Encrypt(string email, Guid userId) => cipher.Encrypt(email, userId);

    public string Decrypt(byte[] sealedBytes, Guid userId) => cipher.Decrypt(sealedBytes, userId);

    /// <summary>A domain in ASCII (IDNA, RFC 5891). Null: not a valid domain.</summary>
    public static string? ToAscii(string domain)
    {
        try
        {
            return Idn.GetAscii(domain).ToLowerInvariant();
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    private byte[] Mac(string email) => HMACSHA256.HashData(hashKey, Encoding.UTF8.GetBytes(email.ToLowerInvariant()));
}
