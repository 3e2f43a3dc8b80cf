using System.Buffers.Binary;
using System.Security.Cryptography;

namespace SecureMessaging.Server.Mls;

/// <summary>The reference of a KeyPackage (RFC 9420 section 5.2), compared by value.</summary>
internal readonly record struct KeyPackageReference(ulong A, ulong B, ulong C, ulong D)
{
    public const int Length = SHA256.HashSizeInBytes;

    private static ReadOnlySpan<byte> Label => "MLS 1.0 KeyPackage Reference"u8;

    public static KeyPackageReference From(ReadOnlySpan<byte> reference) => new(
        BinaryPrimitives.ReadUInt64BigEndian(reference), BinaryPrimitives.ReadUInt64BigEndian(reference[8..]),
        BinaryPrimitives.ReadUInt64BigEndian(reference[16..]), BinaryPrimitives.ReadUInt64BigEndian(reference[24..]));

    /// <summary><c>RefHash</c> of an encoded KeyPackage, without the message header.</summary>
    public static byte[] Compute(ReadOnlySpan<byte> keyPackage)
    {
        var input = new MlsWriter();
        input.WriteVector(Label);
        input.WriteVector(keyPackage);
        return SHA256.HashData(input.Written);
    }
}
