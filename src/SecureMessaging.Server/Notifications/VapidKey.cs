using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Startup;

namespace SecureMessaging.Server.Notifications;

/// <summary>
/// The key that identifies this server to push services (VAPID, RFC 8292). The first start creates it in the key directory, which all nodes share. It is never
/// rotated, because browsers bind their subscriptions to it.
/// </summary>
internal sealed class VapidKey
{
    private const int MaxTokens = 1000;

    // RFC 8292 section 2: at most 24 hours.
    private static readonly TimeSpan TokenLifetime = TimeSpan.FromHours(12);
    private static readonly TimeSpan TokenReuse = TimeSpan.FromHours(6);

    private readonly ConcurrentDictionary<string, (string Value, DateTime RenewAt)> tokens = new(StringComparer.Ordinal);
    private readonly JsonWebTokenHandler writer = new() { SetDefaultTimesOnTokenCreation = false };
    private readonly SigningCredentials credentials;
    private readonly TimeProvider time;
    private readonly string? contact;

    public VapidKey(IOptions<ServerOptions> server, IOptions<PushOptions> options, TimeProvider time)
    {
        this.time = time;
        contact = string.IsNullOrEmpty(options.Value.Contact) ? null : options.Value.Contact;
        var directory = server.Value.EffectiveKeyDirectory;
        Directories.CreatePrivate(directory);
        var path = Path.Combine(directory, "push.key");
        if (!File.Exists(path))
        {
            using var made = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            Directories.TryCreatePrivateFile(path, made.ExportPkcs8PrivateKey());
        }

        var key = ECDsa.Create();
        try
        {
            key.ImportPkcs8PrivateKey(File.ReadAllBytes(path), out _);
        }
        catch (CryptographicException exception)
        {
            throw new StartException($"{path} does not contain a private key.", exception);
        }

        var point = key.ExportParameters(includePrivateParameters: false).Q;
        if (point is not { X.Length: 32, Y.Length: 32 })
            throw new StartException($"{path} does not contain a P-256 key.");
        credentials = new SigningCredentials(new ECDsaSecurityKey(key), SecurityAlgorithms.EcdsaSha256);
        PublicKey = Base64Url.EncodeToString([0x04, .. point.X, .. point.Y]);
    }

    /// <summary>The uncompressed point in base64url without padding.</summary>
    public string PublicKey { get; }

    /// <summary>The value of <c>Authorization</c> for the origin of an endpoint (RFC 8292 section 3).</summary>
    public string Authorize(string origin)
    {
        var now = time.Now();
        if (tokens.TryGetValue(origin, out var known) && now < known.RenewAt && known.RenewAt <= now + TokenReuse)
            return known.Value;
        // A client can register endpoints of many hosts, so the cache is bounded.
        if (tokens.Count >= MaxTokens)
            tokens.Clear();
        var value = $"vapid t={Sign(origin, now + TokenLifetime)}, k={PublicKey}";
        tokens[origin] = (value, now + TokenReuse);
        return value;
    }

    private string Sign(string origin, DateTime expires) => writer.CreateToken(new SecurityTokenDescriptor
    {
        Audience = origin,
        Expires = expires,
        Claims = contact is null ? null : new Dictionary<string, object>(StringComparer.Ordinal) { [JwtRegisteredClaimNames.Sub] = contact },
        SigningCredentials = credentials,
    });

    public override string ToString() => "[REDACTED]";
}
