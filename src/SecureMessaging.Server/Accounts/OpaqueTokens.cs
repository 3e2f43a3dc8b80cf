using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using SecureMessaging.Server.Platform.Keys;

namespace SecureMessaging.Server.Accounts;

/// <summary>Random tokens. The database stores only their SHA-256: 256 random bits need no salt and no slow hash.</summary>
internal static class OpaqueTokens
{
    public const int RandomBytes = 32;

    public static byte[] Hash(ReadOnlySpan<byte> token) => SHA256.HashData(token);

    /// <summary>The bytes of a token of exactly this length. Null: not such a token.</summary>
    public static byte[]? Read(string text, int length)
    {
        if (text.Length != Base64Url.GetEncodedLength(length))
            return null;
        var bytes = new byte[length];
        // TryDecodeFromChars throws for characters outside the alphabet.
        return Base64Url.DecodeFromChars(text, bytes, out _, out var written) == OperationStatus.Done && written == length ? bytes : null;
    }
}

/// <summary>
/// A refresh token is 32 random bytes, the id of its session, and a MAC over both. With the MAC the server can distinguish a forgotten token of its own, whose
/// reuse ends the session, from an invented one, which has no effect.
/// </summary>
internal sealed class RefreshTokens(ServerSecret secret)
{
    private const int SessionBytes = 16;
    private const int MacBytes = 16;
    private const int Length = OpaqueTokens.RandomBytes + SessionBytes + MacBytes;
    private readonly byte[] key = secret.DeriveKey("refresh-token");

    public (string Token, byte[] Hash) Mint(Guid sessionId)
    {
        var token = new byte[Length];
        RandomNumberGenerator.Fill(token.AsSpan(0, OpaqueTokens.RandomBytes));
        sessionId.TryWriteBytes(token.AsSpan(OpaqueTokens.RandomBytes), bigEndian: true, out _);
        Mac(token).CopyTo(token.AsSpan(Length - MacBytes));
        return (Base64Url.EncodeToString(token), OpaqueTokens.Hash(token));
    }

    public (Guid SessionId, byte[] Hash)? Read(string text)
    {
        if (OpaqueTokens.Read(text, Length) is not { } token || !CryptographicOperations.FixedTimeEquals(Mac(token), token.AsSpan(Length - MacBytes)))
            return null;
        return (new Guid(token.AsSpan(OpaqueTokens.RandomBytes, SessionBytes), bigEndian: true), OpaqueTokens.Hash(token));
    }

    private ReadOnlySpan<byte> Mac(byte[] token) => HMACSHA256.HashData(key, token.AsSpan(0, Length - MacBytes)).AsSpan(0, MacBytes);
}
