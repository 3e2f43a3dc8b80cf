using System.Security.Cryptography;
using System.Text;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Accounts;

/// <summary>
/// Keeps addresses unreadable to whoever has the database but not the server's secret: encrypted for showing them to their owner,
/// and hashed with a key for finding them. The user's id is bound in, so that rows cannot be swapped.
/// </summary>
internal sealed class EmailCipher(ServerSecret secret)
{
    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private readonly byte[] encryptionKey = secret.DeriveKey("email");
    private readonly byte[] hashKey = secret.DeriveKey("email-hash");

    /// <summary>The same for an address in any letter case.</summary>
    public byte[] Hash(string email) => HMACSHA256.HashData(hashKey, Encoding.UTF8.GetBytes(email.ToLowerInvariant()));

    public byte[] Encrypt(string email, Guid userId)
    {
        var plain = Encoding.UTF8.GetBytes(email);
        var sealedBytes = new byte[NonceBytes + TagBytes + plain.Length];
        var (nonce, tag, cipher) = Split(sealedBytes);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(encryptionKey, TagBytes);
        aes.Encrypt(nonce, plain, cipher, tag, userId.ToByteArray(bigEndian: true));
        return sealedBytes;
    }

    public string Decrypt(byte[] sealedBytes, Guid userId)
    {
        var (nonce, tag, cipher) = Split(sealedBytes);
        var plain = new byte[cipher.Length];
        using var aes = new AesGcm(encryptionKey, TagBytes);
        aes.Decrypt(nonce, cipher, tag, plain, userId.ToByteArray(bigEndian: true));
        return Encoding.UTF8.GetString(plain);
    }

    private static Parts Split(byte[] bytes) =>
        new(bytes.AsSpan(0, NonceBytes), bytes.AsSpan(NonceBytes, TagBytes), bytes.AsSpan(NonceBytes + TagBytes));

    private readonly ref struct Parts(Span<byte> nonce, Span<byte> tag, Span<byte> cipher)
    {
        private readonly Span<byte> nonce = nonce;
        private readonly Span<byte> tag = tag;
        private readonly Span<byte> cipher = cipher;

        public void Deconstruct(out Span<byte> nonce, out Span<byte> tag, out Span<byte> cipher)
        {
            nonce = this.nonce;
            tag = this.tag;
            cipher = this.cipher;
        }
    }
}
