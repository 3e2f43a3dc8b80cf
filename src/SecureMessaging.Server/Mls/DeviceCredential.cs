using NSec.Cryptography;

namespace SecureMessaging.Server.Mls;

/// <summary>A user's signature over one of its devices, and the MLS credential that contains it.</summary>
internal static class DeviceCredential
{
    public const int KeyLength = 32;
    public const int SignatureLength = 64;

    private const int IdLength = 16;

    private static ReadOnlySpan<byte> Label => "SecureMessaging 1.0 DeviceCredential"u8;

    public static bool Verify(ReadOnlySpan<byte> identityKey, Guid userId, Guid deviceId, ReadOnlySpan<byte> signatureKey, ReadOnlySpan<byte> signature) =>
        Verify(identityKey, [.. Label, .. userId.ToByteArray(bigEndian: true), .. deviceId.ToByteArray(bigEndian: true), .. signatureKey], signature);

    /// <summary>The identity of the device's basic credential (RFC 9420 section 5.3).</summary>
    public static byte[] Encode(Guid userId, Guid deviceId, ReadOnlySpan<byte> identityKey, ReadOnlySpan<byte> identitySignature)
    {
        var identity = new byte[(2 * IdLength) + KeyLength + SignatureLength];
        userId.TryWriteBytes(identity, bigEndian: true, out _);
        deviceId.TryWriteBytes(identity.AsSpan(IdLength), bigEndian: true, out _);
        identityKey.CopyTo(identity.AsSpan(2 * IdLength));
        identitySignature.CopyTo(identity.AsSpan((2 * IdLength) + KeyLength));
        return identity;
    }

    /// <summary><c>VerifyWithLabel</c> (RFC 9420 section 5.1.2).</summary>
    public static bool VerifyWithLabel(ReadOnlySpan<byte> publicKey, ReadOnlySpan<byte> label, ReadOnlySpan<byte> content, ReadOnlySpan<byte> signature)
    {
        var signed = new MlsWriter();
        signed.WriteVector([.. "MLS 1.0 "u8, .. label]);
        signed.WriteVector(content);
        return Verify(publicKey, signed.Written, signature);
    }

    public static bool IsPublicKey(ReadOnlySpan<byte> key) =>
        PublicKey.TryImport(SignatureAlgorithm.Ed25519, key, KeyBlobFormat.RawPublicKey, out _);

    private static bool Verify(ReadOnlySpan<byte> publicKey, ReadOnlySpan<byte> content, ReadOnlySpan<byte> signature) =>
        signature.Length == SignatureLength
        && PublicKey.TryImport(SignatureAlgorithm.Ed25519, publicKey, KeyBlobFormat.RawPublicKey, out var key)
        && SignatureAlgorithm.Ed25519.Verify(key!, content, signature);
}
