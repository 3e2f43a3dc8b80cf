using System.Buffers.Text;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Auth;

/// <summary>Forged tokens are rejected. Some are signed with the server's real key, so that only their content is wrong.</summary>
public abstract class ForgeryTests(TestServer server)
{
    [Fact]
    public async Task Forged_tokens_are_rejected()
    {
        await using var user = await server.SignUpAsync();
        await using var other = await server.SignUpAsync();
        var forge = new Forge(user.Tokens.AccessToken, server.Services.GetRequiredService<KeyRing>().Current.Key.ECDsa);
        // Control: a token without a defect is accepted.
        Assert.Equal(200, await server.Http.ProbeAsync(forge.Make()));

        var forgeries = Forgeries(forge, user, other).ToList();
        Assert.True(forgeries.Count >= 200, $"Only {forgeries.Count} forgeries.");
        var believed = new List<string>();
        foreach (var (name, token) in forgeries)
        {
            var status = await server.Http.ProbeAsync(token);
            if (status != 401)
                believed.Add($"{name}: {status}");
        }

        Assert.Empty(believed);
        Assert.Equal(200, await server.Http.ProbeAsync(user.Tokens.AccessToken));
    }

    [Fact]
    public async Task The_reply_to_a_forged_token_does_not_reveal_the_reason()
    {
        await using var user = await server.SignUpAsync();
        using var response = await server.Http.SendAsync(HttpMethod.Get, "/v1/me", user.Tokens.AccessToken[..^4]);
        await response.ReadErrorAsync(401, ErrorCode.Unauthenticated);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.ToString());
    }

    [Fact]
    public async Task A_token_has_the_claims_of_the_contract_and_verifies_with_the_published_keys()
    {
        await using var user = await server.SignUpAsync();
        var parts = user.Tokens.AccessToken.Split('.');
        var header = JsonNode.Parse(Base64Url.DecodeFromChars(parts[0]))!.AsObject();
        var payload = JsonNode.Parse(Base64Url.DecodeFromChars(parts[1]))!.AsObject();
        Assert.Equal(["alg", "kid", "typ"], header.Select(pair => pair.Key).Order());
        Assert.Equal(("ES256", "at+jwt"), ((string?)header["alg"], (string?)header["typ"]));
        Assert.Equal(["aud", "exp", "iat", "iss", "sid", "sub"], payload.Select(pair => pair.Key).Order());
        Assert.Equal((user.Id.ToString(), user.Tokens.SessionId.ToString()), ((string?)payload["sub"], (string?)payload["sid"]));
        Assert.Equal(600, (long)payload["exp"]! - (long)payload["iat"]!);

        var set = await server.Http.GetFromJsonAsync<JsonObject>("/.well-known/jwks.json");
        var key = set!["keys"]!.AsArray().Single(candidate => (string?)candidate!["kid"] == (string?)header["kid"])!.AsObject();
        Assert.Equal(["alg", "crv", "kid", "kty", "use", "x", "y"], key.Select(pair => pair.Key).Order());
        using var verifier = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new ECPoint { X = Base64Url.DecodeFromChars((string)key["x"]!), Y = Base64Url.DecodeFromChars((string)key["y"]!) },
        });
        Assert.True(verifier.VerifyData(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256));
    }

    private static IEnumerable<(string Name, string Token)> Forgeries(Forge forge, TestUser user, TestUser other)
    {
        using var foreign = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var random = Seed.For("forgeries");
        var genuine = user.Tokens.AccessToken;
        var parts = genuine.Split('.');
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

        foreach (var algorithm in new JsonNode?[] { "none", "None", "NONE", "nOnE", "", null })
        {
            foreach (var (kind, signature) in new[] { ("no", ""), ("the old", parts[2]), ("a zero", Base64Url.EncodeToString(new byte[64])),
                ("a random", Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(64))) })
                yield return ($"alg {algorithm} with {kind} signature", forge.Unsigned(Header("alg", algorithm)) + "." + signature);
        }

        foreach (var (hash, mac) in new (string, Func<byte[], byte[], byte[]>)[] { ("HS256", HMACSHA256.HashData), ("HS384", HMACSHA384.HashData),
            ("HS512", HMACSHA512.HashData) })
        {
            foreach (var (kind, secret) in forge.PublicKeyAsSecret())
            {
                var unsigned = forge.Unsigned(Header("alg", hash));
                yield return ($"{hash} keyed with {kind}", $"{unsigned}.{Base64Url.EncodeToString(mac(secret, Encoding.ASCII.GetBytes(unsigned)))}");
            }
        }

        foreach (var algorithm in new[] { "ES384", "ES512", "ES256K", "RS256", "PS256", "EdDSA", "es256", "ES256 ", "HS256", "A128KW", "dir" })
            yield return ($"alg {algorithm} over a true signature", forge.Make(Header("alg", algorithm)));
        foreach (var type in new JsonNode?[] { "JWT", "jwt", "id+jwt", "rt+jwt", "at", "application/jwt", "", null, 5 })
            yield return ($"typ {type}", forge.Make(Header("typ", type)));
        foreach (var audience in new JsonNode?[] { "other", "", "SECURE-MESSAGING", "secure-messaging ", "secure-messaging/", null, 5, new JsonArray(),
            new JsonArray("other") })
            yield return ($"aud {audience}", forge.Make(payload: Claim("aud", audience)));
        foreach (var issuer in new JsonNode?[] { "other", "", "SECURE-MESSAGING", "secure-messaging/", "https://secure-messaging", null, 5 })
            yield return ($"iss {issuer}", forge.Make(payload: Claim("iss", issuer)));
        foreach (var expiry in new JsonNode?[] { now - 40, now - 3600, 0, 1, -1, null, "soon", true })
            yield return ($"exp {expiry}", forge.Make(payload: Claim("exp", expiry)));
        foreach (var start in new JsonNode?[] { now + 3600, now + 86_400 })
            yield return ($"nbf {start}", forge.Make(payload: Claim("nbf", start)));
        foreach (var id in new JsonNode?[] { null, "", "other", "../../../../dev/null", "signing-000001", "' or 1=1 --", 5, new string('k', 4000) })
        {
            yield return ($"kid {id} by a foreign key", forge.Make(Header("kid", id), key: foreign));
            yield return ($"kid {id} by the true key", forge.Make(Header("kid", id)));
        }

        var jwk = Jwk(foreign);
        yield return ("a foreign key under the true id", forge.Make(key: foreign));
        foreach (var (member, value) in new (string, JsonNode)[]
        {
            ("jwk", jwk), ("jku", "https://evil.example/jwks.json"), ("jku", "file:///dev/null"), ("x5u", "https://evil.example/cert.pem"),
            ("x5c", new JsonArray(Convert.ToBase64String(foreign.ExportSubjectPublicKeyInfo()))), ("x5t", (string)jwk["x"]!), ("x5t#S256", (string)jwk["x"]!),
        })
        {
            yield return ($"{member} beside the true id", forge.Make(Header(member, value.DeepClone()), key: foreign));
            yield return ($"{member} without an id", forge.Make(header => { header[member] = value.DeepClone(); header.Remove("kid"); }, key: foreign));
        }

        foreach (var critical in new JsonNode?[] { new JsonArray("exp"), new JsonArray("b64"), new JsonArray("x"), new JsonArray(), "exp", true })
            yield return ($"crit {critical}", forge.Make(Header("crit", critical)));
        yield return ("b64 with crit", forge.Make(header => { header["b64"] = false; header["crit"] = new JsonArray("b64"); }));

        foreach (var subject in new JsonNode?[] { null, "", "admin", other.Id.ToString(), Guid.NewGuid().ToString(), Guid.Empty.ToString(), 5 })
            yield return ($"sub {subject}", forge.Make(payload: Claim("sub", subject)));
        foreach (var session in new JsonNode?[] { null, "", "x", other.Tokens.SessionId.ToString(), Guid.NewGuid().ToString(), Guid.Empty.ToString(), 5 })
            yield return ($"sid {session}", forge.Make(payload: Claim("sid", session)));
        yield return ("a role that was not given, by a foreign key", forge.Make(payload: Claim("role", "admin"), key: foreign));

        for (var i = 0; i < 40; i++)
            yield return ($"cut to {i}/40", genuine[..(genuine.Length * i / 40)]);
        foreach (var end in new[] { 1, 2, 3, 4 })
            yield return ($"without its last {end}", genuine[..^(end * 4)]);
        var others = other.Tokens.AccessToken.Split('.');
        yield return ("another's signature", $"{parts[0]}.{parts[1]}.{others[2]}");
        yield return ("another's payload", $"{parts[0]}.{others[1]}.{parts[2]}");
        yield return ("payload as header", $"{parts[1]}.{parts[1]}.{parts[2]}");
        yield return ("header as payload", $"{parts[0]}.{parts[0]}.{parts[2]}");
        yield return ("header and payload swapped", $"{parts[1]}.{parts[0]}.{parts[2]}");
        yield return ("four parts", $"{genuine}.{parts[2]}");
        yield return ("five parts", $"{genuine}.{parts[2]}.{parts[2]}");
        yield return ("a dot more", $"{genuine}.");
        yield return ("only dots", "..");
        yield return ("no payload", $"{parts[0]}..{parts[2]}");
        yield return ("twice", $"{genuine} {genuine}");
        yield return ("a refresh token", user.Tokens.RefreshToken);
        foreach (var (kind, signature) in new[]
        {
            ("zero", new byte[64]), ("ones", Enumerable.Repeat((byte)0xFF, 64).ToArray()), ("of r and s = 1", [.. One(), .. One()]), ("empty", []),
            ("32 zeros", new byte[32]), ("65 zeros", new byte[65]),
            ("in DER", forge.SignDer()),
        })
            yield return ($"a signature of {kind}", $"{parts[0]}.{parts[1]}.{Base64Url.EncodeToString(signature)}");

        for (var i = 0; i < 90; i++)
        {
            var part = i % 3;
            var bytes = Base64Url.DecodeFromChars(parts[part]);
            var bit = random.Next(bytes.Length * 8);
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            var flipped = parts.ToArray();
            flipped[part] = Base64Url.EncodeToString(bytes);
            yield return ($"bit {bit} of part {part} flipped", string.Join('.', flipped));
        }
    }

    private static byte[] One() => [.. new byte[31], 1];

    private static Action<JsonObject> Header(string name, JsonNode? value) => Set(name, value);

    private static Action<JsonObject> Claim(string name, JsonNode? value) => Set(name, value);

    /// <summary>Null removes the member.</summary>
    private static Action<JsonObject> Set(string name, JsonNode? value) => node =>
    {
        node.Remove(name);
        if (value is not null)
            node[name] = value.DeepClone();
    };

    private static JsonObject Jwk(ECDsa key)
    {
        var point = key.ExportParameters(false).Q;
        return new JsonObject { ["kty"] = "EC", ["crv"] = "P-256", ["x"] = Base64Url.EncodeToString(point.X), ["y"] = Base64Url.EncodeToString(point.Y) };
    }

    private sealed class Forge(string genuine, ECDsa trueKey)
    {
        private readonly string[] parts = genuine.Split('.');

        public string Unsigned(Action<JsonObject>? header = null, Action<JsonObject>? payload = null) =>
            $"{Change(parts[0], header)}.{Change(parts[1], payload)}";

        public string Make(Action<JsonObject>? header = null, Action<JsonObject>? payload = null, ECDsa? key = null)
        {
            var unsigned = Unsigned(header, payload);
            return $"{unsigned}.{Base64Url.EncodeToString((key ?? trueKey).SignData(Encoding.ASCII.GetBytes(unsigned), HashAlgorithmName.SHA256))}";
        }

        public byte[] SignDer() =>
            trueKey.SignData(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);

        public IEnumerable<(string Kind, byte[] Secret)> PublicKeyAsSecret()
        {
            var point = trueKey.ExportParameters(false).Q;
            yield return ("the public key in DER", trueKey.ExportSubjectPublicKeyInfo());
            yield return ("the public key in PEM", Encoding.ASCII.GetBytes(trueKey.ExportSubjectPublicKeyInfoPem()));
            yield return ("the public key in PEM with a newline", Encoding.ASCII.GetBytes(trueKey.ExportSubjectPublicKeyInfoPem() + "\n"));
            yield return ("the public point", [4, .. point.X!, .. point.Y!]);
            yield return ("x", point.X!);
            yield return ("the JWK", JsonSerializer.SerializeToUtf8Bytes(Jwk(trueKey)));
            yield return ("nothing", []);
        }

        private static string Change(string part, Action<JsonObject>? change)
        {
            var node = JsonNode.Parse(Base64Url.DecodeFromChars(part))!.AsObject();
            change?.Invoke(node);
            return Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(node));
        }
    }
}

public sealed class ForgeryTestsOnSqlite(SqliteServer server) : ForgeryTests(server);

public sealed class ForgeryTestsOnPostgres(PostgresServer server) : ForgeryTests(server);
