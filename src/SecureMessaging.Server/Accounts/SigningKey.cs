using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.IdentityModel.Tokens;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Accounts;

/// <summary>One P-256 key of the ring and its file. A file is written once and never changed.</summary>
internal sealed class SigningKey
{
    private SigningKey(int number, DateTime signsFrom, ECDsa key)
    {
        Number = number;
        SignsFrom = signsFrom;
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        X = Base64UrlEncoder.Encode(point.X);
        Y = Base64UrlEncoder.Encode(point.Y);
        // RFC 7638: every node computes the same id for a key.
        Id = Base64UrlEncoder.Encode(SHA256.HashData(System.Text.Encoding.ASCII.GetBytes($$"""{"crv":"P-256","kty":"EC","x":"{{X}}","y":"{{Y}}"}""")));
        Key = new ECDsaSecurityKey(key) { KeyId = Id };
        Credentials = new SigningCredentials(Key, SecurityAlgorithms.EcdsaSha256);
    }

    public int Number { get; }

    public DateTime SignsFrom { get; }

    public string Id { get; }

    public string X { get; }

    public string Y { get; }

    public ECDsaSecurityKey Key { get; }

    public SigningCredentials Credentials { get; }

    public static string PathOf(string directory, int number) => Path.Combine(directory, $"signing-{number:D6}.json");

    public static IEnumerable<int> NumbersIn(string directory) =>
        from path in Directory.EnumerateFiles(directory, "signing-*.json")
        let name = Path.GetFileNameWithoutExtension(path)
        where name.Length == "signing-000000".Length && int.TryParse(name.AsSpan("signing-".Length), out _)
        select int.Parse(name.AsSpan("signing-".Length));

    /// <summary>Creates the key of this number. False: another node was first.</summary>
    public static bool TryCreate(string directory, int number, DateTime signsFrom)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return TryStore(directory, number, signsFrom, key);
    }

    /// <summary>Writes this key to the directory again. False: the number is taken.</summary>
    public bool TryStore(string directory, int number, DateTime signsFrom) => TryStore(directory, number, signsFrom, Key.ECDsa);

    private static bool TryStore(string directory, int number, DateTime signsFrom, ECDsa key)
    {
        var content = new Content(new DateTimeOffset(signsFrom).ToUnixTimeSeconds(), key.ExportPkcs8PrivateKey());
        return Directories.TryCreatePrivateFile(PathOf(directory, number), JsonSerializer.SerializeToUtf8Bytes(content));
    }

    /// <summary>Null: the file is missing, because another node has retired the key.</summary>
    public static SigningKey? Load(string directory, int number)
    {
        var path = PathOf(directory, number);
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(path);
        }
        catch (FileNotFoundException)
        {
            return null;
        }

        try
        {
            var content = JsonSerializer.Deserialize<Content>(bytes) ?? throw new JsonException();
            var key = ECDsa.Create();
            key.ImportPkcs8PrivateKey(content.PrivateKey, out _);
            return new SigningKey(number, DateTimeOffset.FromUnixTimeSeconds(content.SignsFrom).UtcDateTime, key);
        }
        catch (Exception exception) when (exception is JsonException or CryptographicException)
        {
            throw new InvalidOperationException($"{path} does not contain a signing key.", exception);
        }
    }

    public override string ToString() => $"signing key {Number}";

    private sealed record Content(long SignsFrom, byte[] PrivateKey)
    {
        public override string ToString() => "[REDACTED]";
    }
}
