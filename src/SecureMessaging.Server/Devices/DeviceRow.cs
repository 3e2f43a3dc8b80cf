using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;

namespace SecureMessaging.Server.Devices;

/// <summary>A row of <c>devices</c>.</summary>
internal sealed record DeviceRow
{
    public const string Columns = "id, user_id, session_id, scheme, signature_key, link_key, identity_signature, sealed_identity, name, created_on, seen_on";

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

    public Device ToDevice(Caller caller, byte[]? identityKey)
    {
        var current = SessionId == caller.SessionId;
        return new Device(
            Id, Scheme, SignatureKey, LinkKey, IdentitySignature is not null, current, CreatedOn, SeenOn, Name, identityKey, IdentitySignature,
            current ? SealedIdentity : null);
    }
}
