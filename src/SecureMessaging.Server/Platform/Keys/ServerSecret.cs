using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform.Startup;

namespace SecureMessaging.Server.Platform.Keys;

/// <summary>
/// 32 random bytes, created at the first start, from which all symmetric keys of the server are derived (HKDF-SHA256, RFC 5869), one per purpose.
/// This secret and the database together link sealed entries to accounts: back them up separately.
/// </summary>
/// <remarks>
/// The operator may add newer versions, in files <c>server.secret.2</c> to <c>server.secret.255</c>. The newest version at the start is the one for new
/// keyed hashes whose row has a key version. All other keys come from version 1. A node reads a version that another node writes with when it first
/// meets it.
/// </remarks>
internal sealed class ServerSecret
{
    public const int FirstVersion = 1;
    private const int LastVersion = 255;
    private const int Length = 32;

    private readonly string directory;
    private readonly byte[] secret;

    public ServerSecret(IOptions<ServerOptions> options)
    {
        directory = options.Value.EffectiveKeyDirectory;
        var path = PathOf(FirstVersion);
        try
        {
            Directories.CreatePrivate(directory);
            if (!File.Exists(path))
                Directories.TryCreatePrivateFile(path, RandomNumberGenerator.GetBytes(Length));
            Newest = Enumerable.Range(FirstVersion, LastVersion).Last(version => File.Exists(PathOf(version)));
            secret = Read(FirstVersion);
            Read(Newest);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StartException(
                $"The key directory {directory} cannot be used: {exception.Message} Choose another with Server:KeyDirectory, or correct its permissions.",
                exception);
        }
    }

    /// <summary>The version for new keyed hashes.</summary>
    public int Newest { get; }

    public byte[] DeriveKey(string purpose) => Derive(secret, purpose);

    /// <summary>The key of one version. Throws if the key directory does not have it: what was written with it can then not be checked.</summary>
    public byte[] DeriveKey(string purpose, int version) => Derive(version == FirstVersion ? secret : Read(version), purpose);

    public override string ToString() => "[REDACTED]";

    private static byte[] Derive(byte[] secret, string purpose) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, 32, info: Encoding.UTF8.GetBytes($"secure-messaging/{purpose}"));

    private byte[] Read(int version)
    {
        var bytes = File.ReadAllBytes(PathOf(version));
        return bytes.Length == Length && bytes.Any(b => b != bytes[0])
            ? bytes
            : throw new StartException(
                $"{PathOf(version)} must hold {Length} random bytes. Restore it from the backup of the key directory (Server:KeyDirectory).");
    }

    private string PathOf(int version) => Path.Combine(
        directory, version == FirstVersion ? "server.secret" : string.Create(CultureInfo.InvariantCulture, $"server.secret.{version}"));
}
