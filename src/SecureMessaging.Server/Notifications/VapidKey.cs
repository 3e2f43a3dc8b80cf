using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Notifications;

/// <summary>
/// The one key by which push services know this server (VAPID, RFC 8292). Made at first run in the key directory, which nodes share; never rotated, because
/// browsers bind their subscriptions to it.
/// </summary>
internal sealed class VapidKey
{
    private const int MaxTokens = 1000;

    // RFC 8292 section 2: no later than 24 hours from the request.
    private static readonly TimeSpan TokenLifetime = TimeSpan.FromHours(12);
    private static readonly TimeSpan TokenReuse = TimeSpan.FromHours(6);
    private static readonly string Header = Base64Url.EncodeToString("""{"typ":"JWT","alg":"ES256"}"""u8);

    private readonly ConcurrentDictionary<string, (string Value, DateTime RenewAt)> tokens = new(StringComparer.Ordinal);
    private readonly ECDsa key = ECDsa.Create();
    private readonly Lock gate = new();
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

        try
        {
            key.ImportPkcs8PrivateKey(File.ReadAllBytes(path), out _);
        }
        catch (CryptographicException exception)
        {
            throw new StartException($"{path} does not hold a key.", exception);
        }

        var point = key.ExportParameters(includePrivateParameters: false).Q;
        if (point is not { X.Length: 32, Y.Length: 32 })
            throw new StartException($"{path} does not hold a P-256 key.");
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
        // Whoever registers endpoints of many hosts must not make this grow.
        if (tokens.Count >= MaxTokens)
            tokens.Clear();
        var value = $"vapid t={Sign(origin, now + TokenLifetime)}, k={PublicKey}";
        tokens[origin] = (value, now + TokenReuse);
        return value;
    }

    private string Sign(string origin, DateTime expires)
    {
        var claims = new Dictionary<string, object>(StringComparer.Ordinal) { ["aud"] = origin, ["exp"] = new DateTimeOffset(expires).ToUnixTimeSeconds() };
        if (contact is not null)
            claims.Add("sub", contact);
        var signed = $"{Header}.{Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(claims))}";
        byte[] signature;
        lock (gate)
            signature = key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        return $"{signed}.{Base64Url.EncodeToString(signature)}";
    }

    public override string ToString() => "[REDACTED]";
}
