using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Devices;

/// <summary>Requests about devices that are checked against the contract before the store sees them, the same for REST and GraphQL.</summary>
internal sealed class DeviceRequests(DeviceStore devices, Limits limits)
{
    private const int SealedIdentityBytes = 1024;

    /// <summary>The device, and whether this request made it rather than an earlier attempt.</summary>
    public Task<(Device Device, bool Created)> RegisterAsync(Caller caller, RegisterDeviceRequest request, CancellationToken cancellationToken)
    {
        if (request.Id == Guid.Empty)
            throw ApiException.Invalid("id must be a random UUID.", "id");
        if (request.Scheme != Schemes.Mls10)
            throw ApiException.Invalid($"scheme must be {Schemes.Mls10}.", "scheme");
        if (request.Name?.Length > limits.NameBytes)
            throw ApiException.TooLarge("name", limits.NameBytes);
        RequireKeys(request.SignatureKey, request.LinkKey);
        if (request.IdentityKey is not null)
            RequireIdentityKey(request.IdentityKey);
        return devices.RegisterAsync(caller, request, cancellationToken);
    }

    public Task<Device> ApproveAsync(Caller caller, Guid deviceId, ApproveDeviceRequest request, CancellationToken cancellationToken)
    {
        if (request.SealedIdentity?.Length > SealedIdentityBytes)
            throw ApiException.TooLarge("sealedIdentity", SealedIdentityBytes);
        return devices.ApproveAsync(caller, deviceId, request, cancellationToken);
    }

    public Task<Device> RotateAsync(Caller caller, Guid deviceId, RotateDeviceRequest request, CancellationToken cancellationToken)
    {
        RequireKeys(request.SignatureKey, request.LinkKey);
        return devices.RotateAsync(caller, deviceId, request, cancellationToken);
    }

    public Task ReplaceIdentityAsync(Caller caller, ReplaceIdentityRequest request, CancellationToken cancellationToken)
    {
        RequireIdentityKey(request.IdentityKey);
        return devices.ReplaceIdentityAsync(caller, request, cancellationToken);
    }

    private static void RequireKeys(byte[] signatureKey, byte[] linkKey)
    {
        if (!DeviceCredential.IsPublicKey(signatureKey))
            throw ApiException.Invalid("signatureKey must be an Ed25519 public key.", "signatureKey");
        if (linkKey.Length != DeviceCredential.KeyLength)
            throw ApiException.Invalid($"linkKey must have {DeviceCredential.KeyLength} bytes.", "linkKey");
    }

    private static void RequireIdentityKey(byte[] identityKey)
    {
        if (!DeviceCredential.IsPublicKey(identityKey))
            throw ApiException.Invalid("identityKey must be an Ed25519 public key.", "identityKey");
    }
}
