using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Encryption;

internal sealed record DeviceRow
{
    /// <summary>Without <c>sealed_identity</c>, which is large and only for the device itself.</summary>
    public const string Columns = "id, user_id, session_id, scheme, signature_key, link_key, identity_signature, name, created_on, seen_on";

    public Guid Id { get; init; }
    public Guid UserId { get; init; }
    public Guid? SessionId { get; init; }
    public string Scheme { get; init; } = "";
    public byte[] SignatureKey { get; init; } = [];
    public byte[] LinkKey { get; init; } = [];
    public byte[]? IdentitySignature { get; init; }
    public byte[]? SealedIdentity { get; init; }
    public byte[]? Name { get; init; }
    public DateTime CreatedOn { get; init; }
    public DateTime SeenOn { get; init; }

    public static ApiException NotCurrent() => new(ErrorCode.Forbidden, "Only the device itself, in its own session, may do this.");

    public Device ToDevice(Caller caller, byte[]? identityKey)
    {
        var current = SessionId == caller.SessionId;
        return new Device(
            Id, Scheme, SignatureKey, LinkKey, IdentitySignature is not null, current, CreatedOn, SeenOn, Name, identityKey, IdentitySignature,
            current ? SealedIdentity : null);
    }
}
