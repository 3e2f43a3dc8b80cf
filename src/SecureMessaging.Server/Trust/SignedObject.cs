using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;
using SecureMessaging.Server.Mls;

namespace SecureMessaging.Server.Trust;

/// <summary>Hashes and signatures of the objects that clients sign: section 1 of <c>SecureMessaging.Protocol/Trust/README.md</c>.</summary>
internal static class SignedObject
{
    public const int IdLength = 16;
    public const int HashLength = 32;
    public const int KeyLength = 32;
    public const int SignatureLength = 64;

    /// <summary>The highest number in a signed object: exact in every JSON reader.</summary>
    public const ulong MostNumber = (1UL << 53) - 1;

    public static byte[] Hash(string name, ReadOnlySpan<byte> value) => SHA256.HashData(Labelled(name, value));

    /// <summary>libsodium refuses what section 1 refuses: keys and R that are not canonical or of small order, and an S that is not below the order.</summary>
    public static bool Verify(ReadOnlySpan<byte> key, string name, ReadOnlySpan<byte> value, ReadOnlySpan<byte> signature) =>
        PublicKey.TryImport(SignatureAlgorithm.Ed25519, key, KeyBlobFormat.RawPublicKey, out var imported)
        && SignatureAlgorithm.Ed25519.Verify(imported!, Labelled(name, value), signature);

    /// <summary>Reads a UUID in network byte order.</summary>
    public static bool TryReadId(ref MlsReader reader, out Guid id)
    {
        var ok = reader.TryReadBytes(IdLength, out var bytes);
        id = ok ? new Guid(bytes, bigEndian: true) : default;
        return ok;
    }

    private static ReadOnlySpan<byte> Labelled(string name, ReadOnlySpan<byte> value)
    {
        var writer = new MlsWriter();
        writer.WriteVector(Encoding.ASCII.GetBytes($"SecureMessaging 1.0 {name}"));
        writer.WriteVector(value);
        return writer.Written;
    }
}
