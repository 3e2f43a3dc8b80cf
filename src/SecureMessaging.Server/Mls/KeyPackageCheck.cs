using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Mls;

/// <summary>A KeyPackage that may stand in the directory.</summary>
internal sealed record CheckedKeyPackage(byte[] Reference, byte[] Message, DateTime ExpiresAt);

/// <summary>
/// Everything about a KeyPackage that can be checked without a secret (RFC 9420 sections 7.3 and 10.1), so that nobody claims one that no group would take, or one
/// that says to be somebody else's.
/// </summary>
internal static class KeyPackageCheck
{
    /// <summary>How far a device's clock may be ahead, or allow for others that are behind.</summary>
    private static readonly TimeSpan Skew = TimeSpan.FromHours(1);

    /// <summary>From its beginning to its end. An unclaimed KeyPackage is a key that lies around; its owner uploads others long before this is over.</summary>
    public static readonly TimeSpan LongestLife = TimeSpan.FromDays(100);

    private const int HpkeKeyLength = 32;

    /// <param name="field">The member of the request that holds it.</param>
    /// <param name="message">MLSMessage holding the KeyPackage.</param>
    /// <param name="identity">The identity of the credential that the device must show.</param>
    /// <param name="signatureKey">The device's signature key.</param>
    /// <param name="now">UTC.</param>
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
        // The total lifetime is what other members judge, too (RFC 9420 section 7.2).
        if (package.NotBefore > seconds + (ulong)Skew.TotalSeconds || package.NotAfter <= seconds || package.NotAfter <= package.NotBefore
            || package.NotAfter - package.NotBefore > (ulong)(LongestLife + Skew).TotalSeconds)
        {
            throw Invalid(field, $"must be valid now, and for {LongestLife.TotalDays} days at most");
        }

        return new CheckedKeyPackage(
            KeyPackageReference.Compute(package.Encoded), message, DateTimeOffset.FromUnixTimeSeconds((long)package.NotAfter).UtcDateTime);
    }

    private static ApiException Invalid(string field, string what) => ApiException.Invalid($"A KeyPackage {what}.", field);
}
