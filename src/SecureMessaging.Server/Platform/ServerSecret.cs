using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace SecureMessaging.Server.Platform;

/// <summary>
/// 32 random bytes made at first run, from which every symmetric key of the server is derived (HKDF-SHA256, RFC 5869), one for each purpose.
/// Whoever holds this secret and the database can link sealed entries to accounts; back it up apart from the database.
/// </summary>
internal sealed class ServerSecret
{
    private const int Length = 32;
    private readonly byte[] secret;

    public ServerSecret(IOptions<ServerOptions> options)
    {
        var directory = options.Value.EffectiveKeyDirectory;
        Directories.CreatePrivate(directory);
        var path = Path.Combine(directory, "server.secret");
        if (!File.Exists(path))
            Directories.TryCreatePrivateFile(path, RandomNumberGenerator.GetBytes(Length));
        secret = File.ReadAllBytes(path);
        if (secret.Length != Length || secret.All(b => b == secret[0]))
            throw new InvalidOperationException($"{path} must hold {Length} random bytes.");
    }

    public byte[] DeriveKey(string purpose) => HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, 32, info: Encoding.UTF8.GetBytes($"secure-messaging/{purpose}"));

    public override string ToString() => "[REDACTED]";
}
