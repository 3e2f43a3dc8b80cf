namespace SecureMessaging.Protocol;

/// <summary>Names of encryption schemes. A scheme is data to the server: it routes any as opaque bytes and serves <see cref="Mls10"/> beyond that.</summary>
public static class Schemes
{
    /// <summary>Messaging Layer Security 1.0 (RFC 9420), ciphersuite 0x0001.</summary>
    public const string Mls10 = "mls10";

    /// <summary>Whatever the room's members have agreed on; the server looks at nothing.</summary>
    public const string Opaque = "opaque";
}

/// <summary><c>POST /v1/devices</c>: makes the calling session a device. Replies 201 with a <see cref="Device"/>; the same request again, 200.</summary>
/// <remarks>
/// The user's first device brings the identity key along. A further one may be signed at once when the caller holds the identity's private key; else it waits
/// for <c>PUT /v1/devices/{id}/approval</c> by a device that does, and others neither see it nor can encrypt for it. A device that waits ends with its session, and when
/// the account is full, the oldest of these gives way to the new one. An approved device outlives its session: after signing
/// in anew, <c>PUT /v1/devices/{id}/session</c> (204) attaches it to the calling session, and the one that it had before ends. <c>DELETE /v1/devices/{id}</c> (204)
/// revokes it.
/// </remarks>
/// <param name="Id">Chosen by the client (random, version 4): part of what is signed, and makes the call repeatable.</param>
/// <param name="SignatureKey">Ed25519 public key (32 bytes) of the device's MLS leaf.</param>
/// <param name="LinkKey">HPKE public key (RFC 9180, X25519, 32 bytes) to which an approving device seals the identity's private key.</param>
/// <param name="IdentityKey">The user's Ed25519 public key (32 bytes); required, and fixed, with the first device.</param>
/// <param name="IdentitySignature">
/// 64 bytes: Ed25519 by the identity key over the ASCII text <c>SecureMessaging 1.0 DeviceCredential</c>, the user's id, <paramref name="Id"/> (RFC 9562
/// byte order) and <paramref name="SignatureKey"/>.
/// </param>
/// <param name="Name">Opaque to the server; encrypt it.</param>
/// <param name="Scheme">Of <see cref="Schemes"/>.</param>
public sealed record RegisterDeviceRequest(
    Guid Id, byte[] SignatureKey, byte[] LinkKey, byte[]? IdentityKey = null, byte[]? IdentitySignature = null, byte[]? Name = null, string Scheme = Schemes.Mls10);

/// <summary>One of the caller's own devices: <c>GET /v1/devices</c>.</summary>
/// <param name="Id">The device's id.</param>
/// <param name="Scheme">Of <see cref="Schemes"/>.</param>
/// <param name="SignatureKey">Ed25519 public key of its MLS leaf.</param>
/// <param name="LinkKey">Where an approving device seals the identity to.</param>
/// <param name="Approved">Whether the identity key has signed it. Only then others see it.</param>
/// <param name="Current">Whether the request came from its session.</param>
/// <param name="CreatedOn">The day of registration (UTC).</param>
/// <param name="SeenOn">The day it was last connected or asked for something (UTC).</param>
/// <param name="Name">Opaque.</param>
/// <param name="IdentityKey">The user's identity key.</param>
/// <param name="IdentitySignature">As in <see cref="RegisterDeviceRequest"/>.</param>
/// <param name="SealedIdentity">What the approving device left for it; shown to the device itself alone.</param>
public sealed record Device(
    Guid Id, string Scheme, byte[] SignatureKey, byte[] LinkKey, bool Approved, bool Current, DateTime CreatedOn, DateTime SeenOn, byte[]? Name = null,
    byte[]? IdentityKey = null, byte[]? IdentitySignature = null, byte[]? SealedIdentity = null);

/// <summary><c>PUT /v1/devices/{id}/approval</c>: signs a waiting device of one's own. Replies with the <see cref="Device"/>.</summary>
/// <param name="IdentitySignature">As in <see cref="RegisterDeviceRequest"/>.</param>
/// <param name="SealedIdentity">HPKE (RFC 9180) encapsulated key and ciphertext for the device's link key, up to 1 KiB; opaque to the server.</param>
public sealed record ApproveDeviceRequest(byte[] IdentitySignature, byte[]? SealedIdentity = null);

/// <summary>
/// <c>PUT /v1/devices/{id}/keys</c>: the device starts anew with another signature key. Its KeyPackages are gone, and the members of its rooms are asked to
/// replace its leaf. Replies with the <see cref="Device"/>.
/// </summary>
/// <param name="SignatureKey">The new Ed25519 public key.</param>
/// <param name="LinkKey">The new HPKE public key.</param>
/// <param name="IdentitySignature">As in <see cref="RegisterDeviceRequest"/>; without it the device waits for approval.</param>
public sealed record RotateDeviceRequest(byte[] SignatureKey, byte[] LinkKey, byte[]? IdentitySignature = null);

/// <summary>
/// <c>PUT /v1/me/identity</c>, for a user whose identity key is lost: the calling device goes on under a new one, all others wait for approval. Contacts are
/// shown that the key has changed. All KeyPackages of the account are gone. Replies 204.
/// </summary>
/// <param name="DeviceId">The calling device.</param>
/// <param name="IdentityKey">The new Ed25519 public key.</param>
/// <param name="IdentitySignature">As in <see cref="RegisterDeviceRequest"/>.</param>
public sealed record ReplaceIdentityRequest(Guid DeviceId, byte[] IdentityKey, byte[] IdentitySignature);

/// <summary>What one may know of another's keys: <c>GET /v1/users/{username}/devices</c>, and for all members <c>GET /v1/rooms/{id}/devices</c>.</summary>
/// <param name="UserId">The account.</param>
/// <param name="Username">Its username.</param>
/// <param name="IdentityKey">Its identity key; null while it has no device.</param>
/// <param name="Devices">Its approved devices.</param>
public sealed record UserKeys(Guid UserId, string Username, byte[]? IdentityKey, DeviceKeys[] Devices);

/// <summary>One approved device of somebody.</summary>
/// <param name="DeviceId">The device.</param>
/// <param name="SignatureKey">Ed25519 public key of its MLS leaf.</param>
/// <param name="IdentitySignature">As in <see cref="RegisterDeviceRequest"/>: verify it.</param>
public sealed record DeviceKeys(Guid DeviceId, byte[] SignatureKey, byte[] IdentitySignature);

/// <summary><c>POST /v1/devices/{id}/key-packages</c>, by the device itself. Replies with the <see cref="KeyPackageStock"/>, as <c>GET</c> does.</summary>
/// <remarks>
/// Each is an MLSMessage (RFC 9420 section 6) holding a KeyPackage of suite 0x0001, whose basic credential is the user's id, the device's id, the identity key
/// and the identity signature (16 + 16 + 32 + 64 bytes). Checked: framing, both signatures, lifetime (valid now, and 100 days at most in all), suite, credential, keys.
/// One that is known already is passed over, so that the call may be repeated; one wrong refuses all.
/// </remarks>
/// <param name="KeyPackages">Up to <see cref="Limits.KeyPackages"/>, each to be used once.</param>
/// <param name="LastResort">Handed out again and again when no other is left; replaces the one before.</param>
public sealed record UploadKeyPackagesRequest(byte[][] KeyPackages, byte[]? LastResort = null);

/// <summary>How many KeyPackages of a device are left.</summary>
/// <param name="Available">Those to be used once.</param>
/// <param name="LastResort">Whether there is one of last resort.</param>
/// <param name="LastResortUsed">Whether that one has been handed out: replace it.</param>
public sealed record KeyPackageStock(int Available, bool LastResort, bool LastResortUsed);

/// <summary>
/// <c>POST /v1/key-packages/claim</c>: takes one KeyPackage of every approved device of these users, or of the devices named; never of the calling device. Past a quota for
/// one device there is only the one of last resort, past the one for all <see cref="ErrorCode.RateLimited"/>.
/// </summary>
/// <param name="UserIds">Whose; up to <see cref="Limits.ClaimUsers"/>.</param>
/// <param name="DeviceIds">Only these of their devices; null for all.</param>
public sealed record ClaimKeyPackagesRequest(Guid[] UserIds, Guid[]? DeviceIds = null);

/// <summary>The KeyPackages taken. A device that has none left is missing.</summary>
/// <param name="KeyPackages">One a device.</param>
public sealed record ClaimedKeyPackages(ClaimedKeyPackage[] KeyPackages);

/// <summary>One KeyPackage, gone from the directory unless it is of last resort.</summary>
/// <param name="UserId">Whose device.</param>
/// <param name="DeviceId">Which device.</param>
/// <param name="KeyPackage">MLSMessage holding the KeyPackage (RFC 9420 section 10).</param>
public sealed record ClaimedKeyPackage(Guid UserId, Guid DeviceId, byte[] KeyPackage);
