namespace SecureMessaging.Protocol;

/// <summary>Names of encryption schemes. The server routes every scheme as opaque bytes, and has operations for <see cref="Mls10"/>.</summary>
public static class Schemes
{
    /// <summary>Messaging Layer Security 1.0 (RFC 9420), ciphersuite 0x0001.</summary>
    public const string Mls10 = "mls10";

    /// <summary>A scheme that the members have agreed on. The server checks nothing.</summary>
    public const string Opaque = "opaque";
}

/// <summary>
/// <c>POST /v1/devices</c>: makes the calling session a device. Replies 201 with a <see cref="Device"/>, and 200 when the request is repeated.
/// </summary>
/// <remarks>
/// The first device of a user has the identity key. A later device may have its signature in the request, when the caller holds the private identity key.
/// Otherwise the device waits for <c>PUT /v1/devices/{id}/approval</c> by another device. Others neither see a waiting device nor encrypt for it. A
/// waiting device ends with its session, and in a full account the oldest waiting device is replaced. An approved device outlives its session: after the
/// next sign-in, <c>PUT /v1/devices/{id}/session</c> (204) attaches it to the calling session, and its earlier session ends.
/// <c>DELETE /v1/devices/{id}</c> (204) revokes it.
/// </remarks>
/// <param name="Id">Chosen by the client (random, version 4). It is part of the signature and makes the call idempotent.</param>
/// <param name="SignatureKey">Ed25519 public key (32 bytes) of the device's MLS leaf.</param>
/// <param name="LinkKey">HPKE public key (RFC 9180, X25519, 32 bytes) for which an approving device encrypts the private identity key.</param>
/// <param name="IdentityKey">The user's Ed25519 public key (32 bytes); required, and fixed, with the first device.</param>
/// <param name="IdentitySignature">
/// 64 bytes: Ed25519 by the identity key over the ASCII text <c>SecureMessaging 1.0 DeviceCredential</c>, the user's id, <paramref name="Id"/> (RFC 9562
/// byte order) and <paramref name="SignatureKey"/>.
/// </param>
/// <param name="Name">Opaque to the server; encrypt it.</param>
/// <param name="Scheme">One of <see cref="Schemes"/>.</param>
public sealed record RegisterDeviceRequest(
    Guid Id, byte[] SignatureKey, byte[] LinkKey, byte[]? IdentityKey = null, byte[]? IdentitySignature = null, byte[]? Name = null,
        string Scheme = Schemes.Mls10);

/// <summary>One of the caller's own devices: <c>GET /v1/devices</c>.</summary>
/// <param name="Id">The device's id.</param>
/// <param name="Scheme">One of <see cref="Schemes"/>.</param>
/// <param name="SignatureKey">Ed25519 public key of its MLS leaf.</param>
/// <param name="LinkKey">For which an approving device encrypts the identity.</param>
/// <param name="Approved">Whether the identity key has signed it. Others see only approved devices.</param>
/// <param name="Current">Whether the request came from its session.</param>
/// <param name="CreatedOn">The day of registration (UTC).</param>
/// <param name="SeenOn">The day of its last connection or request (UTC).</param>
/// <param name="Name">Opaque.</param>
/// <param name="IdentityKey">The user's identity key.</param>
/// <param name="IdentitySignature">As in <see cref="RegisterDeviceRequest"/>.</param>
/// <param name="SealedIdentity">
/// What the approving device left, encrypted; only the device itself sees it. It stores it, then calls <c>DELETE /v1/devices/{id}/sealed-identity</c> (204).
/// </param>
public sealed record Device(
    Guid Id, string Scheme, byte[] SignatureKey, byte[] LinkKey, bool Approved, bool Current, DateTime CreatedOn, DateTime SeenOn, byte[]? Name = null,
    byte[]? IdentityKey = null, byte[]? IdentitySignature = null, byte[]? SealedIdentity = null);

/// <summary><c>PUT /v1/devices/{id}/approval</c>: signs a waiting device of the caller. Replies with the <see cref="Device"/>.</summary>
/// <param name="IdentitySignature">As in <see cref="RegisterDeviceRequest"/>.</param>
/// <param name="SealedIdentity">
/// HPKE (RFC 9180) encapsulated key and ciphertext for the device's link key, up to 512 KiB; opaque to the server. Kept until the device confirms that it
/// has it.
/// </param>
public sealed record ApproveDeviceRequest(byte[] IdentitySignature, byte[]? SealedIdentity = null);

/// <summary>
/// <c>PUT /v1/devices/{id}/keys</c>: the device gets another signature key. Its KeyPackages are deleted, and the members of its rooms are
/// asked to replace its leaf. Replies with the <see cref="Device"/>.
/// </summary>
/// <param name="SignatureKey">The new Ed25519 public key.</param>
/// <param name="LinkKey">The new HPKE public key.</param>
/// <param name="IdentitySignature">As in <see cref="RegisterDeviceRequest"/>; without it the device waits for approval.</param>
public sealed record RotateDeviceRequest(byte[] SignatureKey, byte[] LinkKey, byte[]? IdentitySignature = null);

/// <summary>
/// <c>PUT /v1/me/identity</c>, for a user who has lost the identity key: the calling device gets a new one, and all others wait for approval. Contacts
/// see that the key has changed. All KeyPackages of the account are deleted. Replies 204.
/// </summary>
/// <param name="DeviceId">The calling device.</param>
/// <param name="IdentityKey">The new Ed25519 public key.</param>
/// <param name="IdentitySignature">As in <see cref="RegisterDeviceRequest"/>.</param>
public sealed record ReplaceIdentityRequest(Guid DeviceId, byte[] IdentityKey, byte[] IdentitySignature);

/// <summary>The public keys of an account: <c>GET /v1/users/{username}/devices</c>, and for all members <c>GET /v1/rooms/{id}/devices</c>.</summary>
/// <param name="UserId">The account.</param>
/// <param name="Username">Its username.</param>
/// <param name="IdentityKey">Its identity key; null while it has no device.</param>
/// <param name="Devices">Its approved devices.</param>
public sealed record UserKeys(Guid UserId, string Username, byte[]? IdentityKey, DeviceKeys[] Devices);

/// <summary>One approved device of an account.</summary>
/// <param name="DeviceId">The device.</param>
/// <param name="SignatureKey">Ed25519 public key of its MLS leaf.</param>
/// <param name="IdentitySignature">As in <see cref="RegisterDeviceRequest"/>: verify it.</param>
public sealed record DeviceKeys(Guid DeviceId, byte[] SignatureKey, byte[] IdentitySignature);

/// <summary>
/// <c>PUT /v1/me/device-list</c>: publishes the next signed list of the caller's devices (section 7 of the formats in <c>Trust/README.md</c>). Replies with a
/// <see cref="StoredDeviceList"/>; the same bytes again get the same answer. Members of the account's MLS rooms get an entry
/// <see cref="EntryKind.DevicesChanged"/>.
/// </summary>
/// <remarks>
/// The server checks the list by the rules of section 7, with the caller as user, its present username, and the newest stored list as the list before. A list
/// that breaks a rule is <see cref="ErrorCode.Invalid"/>. Another number or hash of the list before is <see cref="ErrorCode.Conflict"/> with
/// <see cref="ErrorBody.CurrentNumber"/>. Publish a list with another identity before <c>PUT /v1/me/identity</c>, which deletes a chain that does not end with
/// its key.
/// </remarks>
/// <param name="List">The encoded <c>DeviceList</c>, up to <see cref="Limits.DeviceListBytes"/>.</param>
public sealed record PublishDeviceListRequest(byte[] List);

/// <summary>The list is durable.</summary>
/// <param name="Number">Its number.</param>
public sealed record StoredDeviceList(long Number);

/// <summary>
/// <c>GET /v1/users/{userId}/device-lists?after=N</c>: the signed device lists of an account with a number above N. Verify them. When the last one is
/// not <paramref name="Newest"/>, ask again after its number.
/// </summary>
/// <param name="Newest">The number of the newest list, 0 if there is none.</param>
/// <param name="Lists">Encoded lists, oldest first, without gaps.</param>
public sealed record DeviceLists(long Newest, byte[][] Lists);

/// <summary><c>POST /v1/devices/{id}/key-packages</c>, by the device itself. Replies with the <see cref="KeyPackageStock"/>, as <c>GET</c> does.</summary>
/// <remarks>
/// Each is an MLSMessage (RFC 9420 section 6) with a KeyPackage of suite 0x0001. Its basic credential has the user's id, the device's id, the identity
/// key and the identity signature (16 + 16 + 32 + 64 bytes). The server checks framing, both signatures, suite, credential, keys, and the lifetime:
/// valid now, and 100 days at most. Known KeyPackages are ignored, so the call is repeatable. One invalid KeyPackage rejects the whole call.
/// </remarks>
/// <param name="KeyPackages">Up to <see cref="Limits.KeyPackages"/>; each is used once.</param>
/// <param name="LastResort">Returned repeatedly when no other is left. Replaces the earlier one.</param>
public sealed record UploadKeyPackagesRequest(byte[][] KeyPackages, byte[]? LastResort = null);

/// <summary>How many KeyPackages of a device are left.</summary>
/// <param name="Available">KeyPackages that are used once.</param>
/// <param name="LastResort">Whether there is a KeyPackage of last resort.</param>
/// <param name="LastResortUsed">Whether it has been returned: replace it.</param>
public sealed record KeyPackageStock(int Available, bool LastResort, bool LastResortUsed);

/// <summary>
/// <c>POST /v1/key-packages/claim</c>: takes one KeyPackage of each approved device of these users, or of the named devices, except the calling device.
/// Beyond the quota for one device it returns only the one of last resort. Beyond the quota for all devices it is <see cref="ErrorCode.RateLimited"/>.
/// </summary>
/// <param name="UserIds">The accounts; up to <see cref="Limits.ClaimUsers"/>.</param>
/// <param name="DeviceIds">Only these of their devices; null for all.</param>
public sealed record ClaimKeyPackagesRequest(Guid[] UserIds, Guid[]? DeviceIds = null);

/// <summary>The KeyPackages. A device without any is missing.</summary>
/// <param name="KeyPackages">One for each device.</param>
public sealed record ClaimedKeyPackages(ClaimedKeyPackage[] KeyPackages);

/// <summary>One KeyPackage. The server deletes it, unless it is of last resort.</summary>
/// <param name="UserId">The account of the device.</param>
/// <param name="DeviceId">The device.</param>
/// <param name="KeyPackage">MLSMessage with the KeyPackage (RFC 9420 section 10).</param>
public sealed record ClaimedKeyPackage(Guid UserId, Guid DeviceId, byte[] KeyPackage);
