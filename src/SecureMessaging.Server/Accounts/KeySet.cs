namespace SecureMessaging.Server.Accounts;

/// <summary>Current and coming public keys (RFC 7517 section 5).</summary>
/// <param name="Keys">The keys that sign tokens now or will do so soon.</param>
internal sealed record KeySet(PublicKey[] Keys)
{
    /// <summary>5 minutes, well below <see cref="AuthOptions.KeyPublishLead"/>: every reader knows a key before it signs.</summary>
    public const string CacheControl = "public, max-age=300";

    public static KeySet Of(IEnumerable<SigningKey> keys) => new([.. keys.Select(key => new PublicKey("EC", "P-256", key.X, key.Y, key.Id, "sig", "ES256"))]);
}

/// <summary>A public key (RFC 7517 section 4, RFC 7518 section 6.2).</summary>
/// <param name="Kty">Always EC.</param>
/// <param name="Crv">Always P-256.</param>
/// <param name="X">The point's x coordinate, base64url.</param>
/// <param name="Y">The point's y coordinate, base64url.</param>
/// <param name="Kid">The key's id, which a token has in its header.</param>
/// <param name="Use">Always sig.</param>
/// <param name="Alg">Always ES256.</param>
internal sealed record PublicKey(string Kty, string Crv, string X, string Y, string Kid, string Use, string Alg);
