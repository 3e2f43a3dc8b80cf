using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Mls;

/// <summary>A KeyPackage that the directory may publish.</summary>
internal sealed record CheckedKeyPackage(byte[] Reference, byte[] Message, DateTime ExpiresAt);

/// <summary>
/// Checks everything in a KeyPackage that needs no secret (RFC 9420 sections 7.3 and 10.1): a claimed KeyPackage fits the group and belongs to its
/// device.
/// </summary>
internal static class KeyPackageCheck
{
    private static readonly TimeSpan Skew = TimeSpan.FromHours(1);

    /// <summary>Longest lifetime. An unclaimed KeyPackage is an exposed key; its owner uploads others long before this ends.</summary>
    public static readonly TimeSpan LongestLife = TimeSpan.FromDays(100);

    private const int HpkeKeyLength = 32;

    public static CheckedKeyPackage Require(string field, byte[] message, ReadOnlySpan<byte> identity, ReadOnlySpan<byte> signatureKey, DateTime now)
    {
        if (!MlsKeyPackage.TryRead(message, out var package))
            throw Invalid(field, "is not an MLSMessage with a KeyPackage of mls10 and suite 1 that has a basic credential and supports all that it uses");
        if (!package.Identity.SequenceEqual(identity))
            throw Invalid(field, "does not have the credential of this device");
        if (!package.SignatureKey.SequenceEqual(signatureKey))
            throw Invalid(field, "does not have the signature key of this device");
        if (package.InitKey.Length != HpkeKeyLength || package.EncryptionKey.Length != HpkeKeyLength || package.InitKey.SequenceEqual(package.EncryptionKey))
            throw Invalid(field, "must have an init key and another encryption key");
        if (!DeviceCredential.VerifyWithLabel(signatureKey, "LeafNodeTBS"u8, package.LeafSigned, package.LeafSignature))
            throw Invalid(field, "has a leaf that is not signed by the device");
        if (!DeviceCredential.VerifyWithLabel(signatureKey, "KeyPackageTBS"u8, package.Signed, package.Signature))
            throw Invalid(field, "is not signed by the device");
        var seconds = (ulong)new DateTimeOffset(now).ToUnixTimeSeconds();
        // Other members check the total lifetime too (RFC 9420 section 7.2).
        if (package.NotBefore > seconds + (ulong)Skew.TotalSeconds || package.NotAfter <= seconds || package.NotAfter <= package.NotBefore
            || package.NotAfter - package.NotBefore > (ulong)(LongestLife + Skew).TotalSeconds)
        {
            throw Invalid(field, $"must be valid now, and for {LongestLife.TotalDays} days at most");
        }

        // To the day, because the end of the lifetime may reveal when the KeyPackage was made. One that ends within a day keeps its exact end.
        var notAfter = DateTimeOffset.FromUnixTimeSeconds((long)package.NotAfter).UtcDateTime;
        return new CheckedKeyPackage(KeyPackageReference.Compute(package.Encoded), message, notAfter.ToDay() > now ? notAfter.ToDay() : notAfter);
    }

    private static ApiException Invalid(string field, string what) => ApiException.Invalid($"A KeyPackage {what}.", field);
}
