using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Mls;

namespace SecureMessaging.Tests.Harness;

/// <summary>The keys of a device in a signed list.</summary>
internal sealed record ListedKeys(Guid Id, Key Signing, byte[] LinkKey, ulong Since)
{
    public static ListedKeys New(ulong since = 1) => new(Guid.NewGuid(), TestDevice.NewKey(), RandomNumberGenerator.GetBytes(32), since);

    public byte[] PublicKey => Signing.PublicKey.Export(KeyBlobFormat.RawPublicKey);
}

/// <summary>What a device list has beside its user. A test changes one member at a time.</summary>
internal sealed record ListContent(
    Guid User, string Username, ulong Number, byte[] Previous, Key Identity, ListedKeys[] Devices, byte Reason, ListedKeys Signer)
{
    /// <summary>The identity of the list before, for the reason 4.</summary>
    public Key? Before { get; init; }

    /// <summary>The key of the signature by the device, if it is not the signer's.</summary>
    public Key? SignedBy { get; init; }

    public static ListContent First(TestUser user, ListedKeys device, Key? identity = null) =>
        new(user.Id, user.Username, 1, new byte[32], identity ?? TestDevice.NewKey(), [device], 1, device);

    /// <summary>The next list of the same chain. The caller changes what its reason says.</summary>
    public ListContent Next(byte reason) => this with { Number = Number + 1, Previous = TestTrust.Hash("DeviceList", Encode()), Reason = reason };

    public byte[] Encode()
    {
        var listed = new MlsWriter();
        foreach (var device in Devices.OrderBy(device => Convert.ToHexString(device.Id.ToByteArray(bigEndian: true)), StringComparer.Ordinal))
        {
            byte[] signed = [.. User.ToByteArray(bigEndian: true), .. device.Id.ToByteArray(bigEndian: true), .. device.PublicKey, .. device.LinkKey];
            listed.WriteBytes([.. device.Id.ToByteArray(bigEndian: true), .. device.PublicKey, .. device.LinkKey]);
            listed.WriteUInt64(device.Since);
            listed.WriteBytes(TestTrust.Sign(device.Signing, "Device", signed));
        }

        var content = new MlsWriter();
        content.WriteUInt16(1);
        content.WriteBytes(User.ToByteArray(bigEndian: true));
        content.WriteVector(Encoding.UTF8.GetBytes(Username));
        content.WriteUInt64(Number);
        content.WriteBytes([.. Previous, .. Identity.PublicKey.Export(KeyBlobFormat.RawPublicKey)]);
        content.WriteVector(listed.Written);
        content.WriteByte(Reason);
        content.WriteBytes(Signer.Id.ToByteArray(bigEndian: true));
        byte[] value = content.Written.ToArray();
        return
        [
            .. value, .. TestTrust.Sign(Identity, "DeviceList", value), .. TestTrust.Sign(SignedBy ?? Signer.Signing, "DeviceList", value),
            .. Before is null ? new byte[] { 0 } : [1, .. TestTrust.Sign(Before, "DeviceList", value)],
        ];
    }
}

/// <summary>Makes signed objects, as clients do.</summary>
internal static class TestTrust
{
    public static byte[] Founding(TestUser founder, TestUser? other = null, string scheme = Schemes.Mls10, ushort version = 1)
    {
        var writer = new MlsWriter();
        writer.WriteUInt16(version);
        writer.WriteVector(Encoding.ASCII.GetBytes(scheme));
        writer.WriteByte(other is null ? (byte)1 : (byte)2);
        writer.WriteBytes([.. founder.Id.ToByteArray(bigEndian: true), .. RandomNumberGenerator.GetBytes(32 + 16)]);
        if (other is not null)
            writer.WriteBytes(other.Id.ToByteArray(bigEndian: true));
        return writer.Written.ToArray();
    }

    /// <summary>What a client asks for to found a group of the scheme MLS.</summary>
    public static CreateRoomRequest Group(TestUser founder, params TestUser[] others) =>
        new(RoomKind.Group, [.. others.Select(other => other.Username)], Scheme: Schemes.Mls10, Founding: Founding(founder));

    /// <summary>The same for a direct room.</summary>
    public static CreateRoomRequest Direct(TestUser founder, TestUser other) =>
        new(RoomKind.Direct, [other.Username], Scheme: Schemes.Mls10, Founding: Founding(founder, other));

    public static Guid RoomIdOf(byte[] founding) => Server.Trust.Founding.TryRead(founding)!.RoomId;

    public static byte[] Hash(string name, byte[] value) => SHA256.HashData(Labelled(name, value));

    public static byte[] Sign(Key key, string name, byte[] value) => SignatureAlgorithm.Ed25519.Sign(key, Labelled(name, value));

    private static byte[] Labelled(string name, byte[] value)
    {
        var writer = new MlsWriter();
        writer.WriteVector(Encoding.ASCII.GetBytes($"SecureMessaging 1.0 {name}"));
        writer.WriteVector(value);
        return writer.Written.ToArray();
    }
}
