using System.Text;
using SecureMessaging.Server.Mls;

namespace SecureMessaging.Server.Trust;

/// <summary>A device of a signed list.</summary>
/// <param name="Id">The device.</param>
/// <param name="SignatureKey">Ed25519 public key of its MLS leaf.</param>
/// <param name="LinkKey">X25519 public key to which others encrypt for it.</param>
/// <param name="Since">The number of the list that added it.</param>
/// <param name="Own">The device's signature over itself.</param>
internal sealed record ListedDevice(Guid Id, byte[] SignatureKey, byte[] LinkKey, ulong Since, byte[] Own)
{
    public bool HasKeysOf(ListedDevice other) => SignatureKey.AsSpan().SequenceEqual(other.SignatureKey) && LinkKey.AsSpan().SequenceEqual(other.LinkKey);
}

/// <summary>
/// A decoded list of a user's devices: section 7 of <c>SecureMessaging.Protocol/Trust/README.md</c>. <see cref="DeviceListCheck"/> judges it.
/// </summary>
internal sealed record DeviceList
{
    private const ushort Version = 1;
    private const int MostUsernameBytes = 32;

    private DeviceList()
    {
    }

    public required Guid User { get; init; }

    public required string Username { get; init; }

    public required ulong Number { get; init; }

    public required byte[] Previous { get; init; }

    public required byte[] Identity { get; init; }

    public required IReadOnlyList<ListedDevice> Devices { get; init; }

    public required DeviceListReason Reason { get; init; }

    public required Guid Signer { get; init; }

    public required byte[] ByIdentity { get; init; }

    public required byte[] ByDevice { get; init; }

    public required byte[]? ByIdentityBefore { get; init; }

    /// <summary>The bytes that all three signatures are over.</summary>
    public required byte[] Signed { get; init; }

    public required byte[] Hash { get; init; }

    /// <summary>Null: the bytes are not a list of version 1.</summary>
    public static DeviceList? TryRead(ReadOnlySpan<byte> bytes)
    {
        var reader = new MlsReader(bytes);
        if (!reader.TryReadUInt16(out var version)
            || version != Version
            || !SignedObject.TryReadId(ref reader, out var user)
            || !reader.TryReadVector(out var username)
            || username.Length > MostUsernameBytes
            || !System.Text.Unicode.Utf8.IsValid(username)
            || !reader.TryReadUInt64(out var number)
            || !reader.TryReadBytes(SignedObject.HashLength, out var previous)
            || !reader.TryReadBytes(SignedObject.KeyLength, out var identity)
            || !reader.TryReadVector(out var listed)
            || TryReadDevices(listed) is not { } devices
            || !reader.TryReadByte(out var reason)
            || !SignedObject.TryReadId(ref reader, out var signer))
        {
            return null;
        }

        var signed = reader.Since(0);
        if (!reader.TryReadBytes(SignedObject.SignatureLength, out var byIdentity)
            || !reader.TryReadBytes(SignedObject.SignatureLength, out var byDevice)
            || !reader.TryReadByte(out var present)
            || present > 1)
        {
            return null;
        }

        ReadOnlySpan<byte> before = default;
        if ((present == 1 && !reader.TryReadBytes(SignedObject.SignatureLength, out before)) || !reader.IsAtEnd)
            return null;
        return new DeviceList
        {
            User = user,
            Username = Encoding.UTF8.GetString(username),
            Number = number,
            Previous = previous.ToArray(),
            Identity = identity.ToArray(),
            Devices = devices,
            Reason = (DeviceListReason)reason,
            Signer = signer,
            ByIdentity = byIdentity.ToArray(),
            ByDevice = byDevice.ToArray(),
            ByIdentityBefore = present == 1 ? before.ToArray() : null,
            Signed = signed.ToArray(),
            Hash = SignedObject.Hash(nameof(DeviceList), bytes),
        };
    }

    public ListedDevice? Find(Guid device) => Devices.FirstOrDefault(each => each.Id == device);

    private static List<ListedDevice>? TryReadDevices(ReadOnlySpan<byte> bytes)
    {
        var reader = new MlsReader(bytes);
        var devices = new List<ListedDevice>();
        while (!reader.IsAtEnd)
        {
            if (!SignedObject.TryReadId(ref reader, out var device)
                || !reader.TryReadBytes(SignedObject.KeyLength, out var signatureKey)
                || !reader.TryReadBytes(SignedObject.KeyLength, out var linkKey)
                || !reader.TryReadUInt64(out var since)
                || !reader.TryReadBytes(SignedObject.SignatureLength, out var own))
            {
                return null;
            }

            devices.Add(new ListedDevice(device, signatureKey.ToArray(), linkKey.ToArray(), since, own.ToArray()));
        }

        return devices;
    }
}

/// <summary>Why a user publishes a list.</summary>
internal enum DeviceListReason : byte
{
    First = 1,
    Added = 2,
    Revoked = 3,
    LostOrStolen = 4,
    NewKeys = 5,
    Name = 6,
}
