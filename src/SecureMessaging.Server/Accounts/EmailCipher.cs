using System.Globalization;
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
    private static readonly IdnMapping Idn = new() { UseStd3AsciiRules = true };
    private readonly RowCipher cipher = new(secret.DeriveKey("email"));
    private readonly byte[] hashKey = secret.DeriveKey("email-hash");

    /// <summary>The same for an address in any letter case and Unicode normal form, with its domain in letters or in Punycode.</summary>
    public byte[] Hash(string email)
    {
        var at = email.LastIndexOf('@');
        var mailbox = UnicodeText.ToNfc(email[..at].ToLowerInvariant()) ?? email[..at];
        return Mac($"{mailbox}@{ToAscii(email[(at + 1)..]) ?? email[(at + 1)..]}");
    }

    /// <summary>As addresses were hashed before they were normalised.</summary>
    public byte[] OldHash(string email) => Mac(email);

    public byte[] Encrypt(string email, Guid userId) => cipher.Encrypt(email, userId);

    public string Decrypt(byte[] sealedBytes, Guid userId) => cipher.Decrypt(sealedBytes, userId);

    /// <summary>A domain as DNS has it (IDNA, RFC 5891); null when it cannot be one.</summary>
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
