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
        var path = Path.Combine(directory, "server.secret");
        try
        {
            Directories.CreatePrivate(directory);
            if (!File.Exists(path))
                Directories.TryCreatePrivateFile(path, RandomNumberGenerator.GetBytes(Length));
            secret = File.ReadAllBytes(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StartException($"The key directory {directory} cannot be used: {exception.Message} Choose another with Server:KeyDirectory, or correct its permissions.", exception);
        }

        if (secret.Length != Length || secret.All(b => b == secret[0]))
            throw new StartException($"{path} must hold {Length} random bytes. Restore it from the backup of the key directory (Server:KeyDirectory).");
    }

    public byte[] DeriveKey(string purpose) => HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, 32, info: Encoding.UTF8.GetBytes($"secure-messaging/{purpose}"));

    public override string ToString() => "[REDACTED]";
}
