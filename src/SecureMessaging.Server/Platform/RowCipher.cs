using System.Security.Cryptography;
using System.Text;

namespace SecureMessaging.Server.Platform;

/// <summary>
/// AES-256-GCM for texts that a column holds, unreadable to whoever has the database but not the server's secret. The id of the row is bound in, so that
/// rows cannot be swapped.
/// </summary>
internal sealed class RowCipher(byte[] key)
{
    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    public byte[] Encrypt(string text, Guid rowId)
    {
        var plain = Encoding.UTF8.GetBytes(text);
        var sealedBytes = new byte[NonceBytes + TagBytes + plain.Length];
        var (nonce, tag, cipher) = Split(sealedBytes);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(key, TagBytes);
        aes.Encrypt(nonce, plain, cipher, tag, rowId.ToByteArray(bigEndian: true));
        return sealedBytes;
    }

    public string Decrypt(byte[] sealedBytes, Guid rowId)
    {
        var (nonce, tag, cipher) = Split(sealedBytes);
        var plain = new byte[cipher.Length];
        using var aes = new AesGcm(key, TagBytes);
        aes.Decrypt(nonce, cipher, tag, plain, rowId.ToByteArray(bigEndian: true));
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
