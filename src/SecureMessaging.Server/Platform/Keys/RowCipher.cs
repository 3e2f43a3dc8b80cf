using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace SecureMessaging.Server.Platform.Keys;

/// <summary>
/// AES-256-GCM for texts in a column: unreadable with the database alone, without the server's secret. The row's id is authenticated, so rows cannot
/// be swapped. Texts are padded to a multiple of <see cref="PaddedBytes"/>, so that the length of a value tells nothing about usual ones.
/// </summary>
/// <remarks>Nonce, tag, ciphertext of: length (2 bytes), text, zeros. Rows of earlier versions have only the text, and another authenticated part.</remarks>
internal sealed class RowCipher(byte[] key)
{
    /// <summary>Longer than almost all e-mail addresses and push endpoints.</summary>
    public const int PaddedBytes = 512;

    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private const byte Padded = 1;

    public byte[] Encrypt(string text, Guid rowId)
    {
        var length = Encoding.UTF8.GetByteCount(text);
        var plain = new byte[(sizeof(ushort) + length + PaddedBytes - 1) / PaddedBytes * PaddedBytes];
        BinaryPrimitives.WriteUInt16BigEndian(plain, checked((ushort)length));
        Encoding.UTF8.GetBytes(text, plain.AsSpan(sizeof(ushort)));
        var sealedBytes = new byte[NonceBytes + TagBytes + plain.Length];
        var (nonce, tag, cipher) = Split(sealedBytes);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(key, TagBytes);
        aes.Encrypt(nonce, plain, cipher, tag, [.. rowId.ToByteArray(bigEndian: true), Padded]);
        return sealedBytes;
    }

    public string Decrypt(byte[] sealedBytes, Guid rowId)
    {
        var (nonce, tag, cipher) = Split(sealedBytes);
        var plain = new byte[cipher.Length];
        using var aes = new AesGcm(key, TagBytes);
        if (cipher.Length % PaddedBytes == 0)
        {
            try
            {
                aes.Decrypt(nonce, cipher, tag, plain, [.. rowId.ToByteArray(bigEndian: true), Padded]);
                return Encoding.UTF8.GetString(plain, sizeof(ushort), BinaryPrimitives.ReadUInt16BigEndian(plain));
            }
            catch (AuthenticationTagMismatchException)
            {
                // A text of an earlier version that has this length.
            }
        }

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
