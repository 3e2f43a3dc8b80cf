using System.Security.Cryptography;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Messages;

/// <summary>
/// Lets the server verify that a caller sent an entry without storing who did: the first 16 bytes of
/// HMAC-SHA256(key of this server, user ‖ room ‖ client message id).
/// </summary>
internal sealed class OwnerProof(ServerSecret secret)
{
    public const int Length = 16;
    private readonly byte[] key = secret.DeriveKey("owner-proof");

    // Setting up the key takes longer than the computing.
    [ThreadStatic]
    private static (byte[] Key, IncrementalHash Hmac) ready;

    public byte[] Compute(Guid userId, Guid roomId, Guid clientMessageId)
    {
        Span<byte> input = stackalloc byte[48];
        userId.TryWriteBytes(input, bigEndian: true, out _);
        roomId.TryWriteBytes(input[16..], bigEndian: true, out _);
        clientMessageId.TryWriteBytes(input[32..], bigEndian: true, out _);
        Span<byte> mac = stackalloc byte[HMACSHA256.HashSizeInBytes];
        if (ready.Key != key)
            ready = (key, IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key));
        ready.Hmac.AppendData(input);
        ready.Hmac.GetHashAndReset(mac);
        return mac[..Length].ToArray();
    }

    public bool Verify(Guid userId, Guid roomId, Guid clientMessageId, byte[] proof) =>
        CryptographicOperations.FixedTimeEquals(Compute(userId, roomId, clientMessageId), proof);
}
