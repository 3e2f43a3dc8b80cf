using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Mls;

/// <summary>The output of <c>tests/web/mls-vectors</c>: messages of ts-mls, and the values that ts-mls reads in them.</summary>
internal sealed record MlsVectors(
    string MadeBy, long Now, MlsVectors.Group[] Groups, MlsVectors.KeyPackage[] KeyPackages, MlsVectors.Framed[] PrivateMessages,
    MlsVectors.Framed[] PublicMessages,
    MlsVectors.Welcome[] Welcomes)
{
    public static MlsVectors All { get; } =
        JsonSerializer.Deserialize<MlsVectors>(
            File.ReadAllText(Repository.PathOf("tests", "SecureMessaging.Tests", "Mls", "Vectors", "vectors.json")), Wire.Json)!;

    public DateTime Time => DateTimeOffset.FromUnixTimeSeconds(Now).UtcDateTime;

    public sealed record Group(Guid RoomId, int Generation);

    public sealed record KeyPackage(
        byte[] Message, byte[] Reference, long NotAfter, Guid UserId, Guid DeviceId, byte[] IdentityKey, byte[] IdentitySignature, byte[] SignatureKey);

    public sealed record Framed(byte[] Message, string ContentType, byte[]? GroupId = null, long Epoch = 0);

    public sealed record Welcome(byte[] Message, byte[][] References);
}
