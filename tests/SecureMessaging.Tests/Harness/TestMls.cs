using System.Security.Cryptography;
using NSec.Cryptography;
using SecureMessaging.Server.Mls;

namespace SecureMessaging.Tests.Harness;

/// <summary>
/// Writes MLS messages (RFC 9420) with the framing that a server can read; their encrypted parts are random. Each part of a KeyPackage can be made
/// wrong and is signed in that form.
/// </summary>
internal static class TestMls
{
    public static byte[] GroupId(Guid roomId, int generation = 0) => [.. roomId.ToByteArray(bigEndian: true), .. BitConverter.GetBytes(generation).Reverse()];

    public static byte[] PrivateMessage(MlsContentType type, byte[] groupId, long epoch, int size = 64)
    {
        var writer = new MlsWriter();
        writer.WriteUInt16(MlsMessage.Version);
        writer.WriteUInt16((ushort)WireFormat.PrivateMessage);
        writer.WriteVector(groupId);
        writer.WriteUInt64((ulong)epoch);
        writer.WriteByte((byte)type);
        writer.WriteVector([]);
        writer.WriteVector(RandomNumberGenerator.GetBytes(28));
        writer.WriteVector(RandomNumberGenerator.GetBytes(size));
        return writer.Written.ToArray();
    }

    public static byte[] Commit(Guid roomId, long epoch, int generation = 0) => PrivateMessage(MlsContentType.Commit, GroupId(roomId, generation), epoch);

    public static byte[] Proposal(Guid roomId, long epoch, int generation = 0) => PrivateMessage(MlsContentType.Proposal, GroupId(roomId, generation), epoch);

    public static byte[] Application(Guid roomId, long epoch, int generation = 0) =>
        PrivateMessage(MlsContentType.Application, GroupId(roomId, generation), epoch);

    public static byte[] PublicMessage(Guid roomId, long epoch)
    {
        var writer = new MlsWriter();
        writer.WriteUInt16(MlsMessage.Version);
        writer.WriteUInt16((ushort)WireFormat.PublicMessage);
        writer.WriteVector(GroupId(roomId));
        writer.WriteUInt64((ulong)epoch);
        writer.WriteByte(1);
        writer.WriteBytes([0, 0, 0, 0]);
        writer.WriteVector([]);
        writer.WriteByte((byte)MlsContentType.Commit);
        writer.WriteBytes(RandomNumberGenerator.GetBytes(100));
        return writer.Written.ToArray();
    }

    /// <summary>A Welcome for the devices of these KeyPackages.</summary>
    public static byte[] Welcome(params byte[][] keyPackages) => WelcomeFor([.. keyPackages.Select(Reference)]);

    public static byte[] WelcomeFor(byte[][] references, ushort suite = MlsMessage.Suite, int groupInfo = 200)
    {
        var secrets = new MlsWriter();
        foreach (var reference in references)
        {
            secrets.WriteVector(reference);
            secrets.WriteVector(RandomNumberGenerator.GetBytes(32));
            secrets.WriteVector(RandomNumberGenerator.GetBytes(80));
        }

        var writer = new MlsWriter();
        writer.WriteUInt16(MlsMessage.Version);
        writer.WriteUInt16((ushort)WireFormat.Welcome);
        writer.WriteUInt16(suite);
        writer.WriteVector(secrets.Written);
        writer.WriteVector(RandomNumberGenerator.GetBytes(groupInfo));
        return writer.Written.ToArray();
    }

    public static byte[] Reference(byte[] keyPackage) => KeyPackageReference.Compute(keyPackage.AsSpan(4));

    public static byte[] SignWithLabel(Key key, string label, ReadOnlySpan<byte> content)
    {
        var signed = new MlsWriter();
        signed.WriteVector(System.Text.Encoding.ASCII.GetBytes("MLS 1.0 " + label));
        signed.WriteVector(content);
        return SignatureAlgorithm.Ed25519.Sign(key, signed.Written);
    }
}

/// <summary>The parts of a KeyPackage, valid for its device by default.</summary>
internal sealed record TestKeyPackage(Key SignatureKey, byte[] Identity, DateTimeOffset Now)
{
    public ushort Message { get; init; } = (ushort)WireFormat.KeyPackage;
    public ushort MessageVersion { get; init; } = MlsMessage.Version;
    public ushort Version { get; init; } = MlsMessage.Version;
    public ushort Suite { get; init; } = MlsMessage.Suite;
    public byte[] InitKey { get; init; } = RandomNumberGenerator.GetBytes(32);
    public byte[] EncryptionKey { get; init; } = RandomNumberGenerator.GetBytes(32);
    public byte[] LeafSignatureKey { get; init; } = SignatureKey.PublicKey.Export(KeyBlobFormat.RawPublicKey);
    public ushort Credential { get; init; } = 1;
    public ushort[] Versions { get; init; } = [1];
    public ushort[] Suites { get; init; } = [1, 0x5a5a];
    public ushort[] SupportedExtensions { get; init; } = [0x0a0a];
    public ushort[] Credentials { get; init; } = [1];
    public byte Source { get; init; } = 1;
    public DateTimeOffset NotBefore { get; init; } = Now.AddHours(-1);
    public DateTimeOffset NotAfter { get; init; } = Now.AddDays(30);
    public ushort[] LeafExtensions { get; init; } = [];
    public ushort[] Extensions { get; init; } = [];
    public Key? LeafSigner { get; init; }
    public Key? Signer { get; init; }
    public string LeafLabel { get; init; } = "LeafNodeTBS";
    public string Label { get; init; } = "KeyPackageTBS";
    public byte[] Trailing { get; init; } = [];

    public byte[] Encode()
    {
        var leaf = new MlsWriter();
        leaf.WriteVector(EncryptionKey);
        leaf.WriteVector(LeafSignatureKey);
        leaf.WriteUInt16(Credential);
        leaf.WriteVector(Identity);
        leaf.WriteVector(Numbers(Versions));
        leaf.WriteVector(Numbers(Suites));
        leaf.WriteVector(Numbers(SupportedExtensions));
        leaf.WriteVector([]);
        leaf.WriteVector(Numbers(Credentials));
        leaf.WriteByte(Source);
        leaf.WriteUInt64((ulong)NotBefore.ToUnixTimeSeconds());
        leaf.WriteUInt64((ulong)NotAfter.ToUnixTimeSeconds());
        leaf.WriteVector(Empty(LeafExtensions));
        var package = new MlsWriter();
        package.WriteUInt16(Version);
        package.WriteUInt16(Suite);
        package.WriteVector(InitKey);
        package.WriteBytes(leaf.Written);
        package.WriteVector(TestMls.SignWithLabel(LeafSigner ?? SignatureKey, LeafLabel, leaf.Written));
        package.WriteVector(Empty(Extensions));
        var message = new MlsWriter();
        message.WriteUInt16(MessageVersion);
        message.WriteUInt16(Message);
        message.WriteBytes(package.Written);
        message.WriteVector(TestMls.SignWithLabel(Signer ?? SignatureKey, Label, package.Written));
        message.WriteBytes(Trailing);
        return message.Written.ToArray();
    }

    private static byte[] Numbers(ushort[] numbers) => [.. numbers.SelectMany(number => new[] { (byte)(number >> 8), (byte)number })];

    /// <summary>Extensions of these types, without content.</summary>
    private static byte[] Empty(ushort[] types) => [.. types.SelectMany(type => new byte[] { (byte)(type >> 8), (byte)type, 0 })];
}
