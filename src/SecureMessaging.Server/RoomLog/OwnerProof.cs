using System.Collections.Concurrent;
using System.Security.Cryptography;
using SecureMessaging.Server.Platform.Keys;

namespace SecureMessaging.Server.RoomLog;

/// <summary>Lets the server verify that a caller sent an entry, without storing the sender.</summary>
/// <remarks>
/// The first 16 bytes of HMAC-SHA256(key of this server, user ‖ room ‖ client message id). The row states the version of the key, so that proofs of an
/// older key stay valid after the operator adds a new one.
/// </remarks>
internal sealed class OwnerProof(ServerSecret secret)
{
    public const int Length = 16;
    private const string Purpose = "owner-proof";

    private readonly byte[] key = secret.DeriveKey(Purpose, secret.Newest);
    private readonly ConcurrentDictionary<int, byte[]> olderKeys = new();

    // Cached per thread: setting up the key takes longer than one computation.
    [ThreadStatic]
    private static (byte[] Key, IncrementalHash Hmac) ready;

    /// <summary>The version of the key that <see cref="Compute(Guid, Guid, Guid)"/> uses.</summary>
    public int KeyVersion { get; } = secret.Newest;

    public byte[] Compute(Guid userId, Guid roomId, Guid clientMessageId) => Compute(key, userId, roomId, clientMessageId);

    /// <param name="userId">The account that may be the sender.</param>
    /// <param name="roomId">The entry's room.</param>
    /// <param name="clientMessageId">The entry's id.</param>
    /// <param name="proof">The entry's proof.</param>
    /// <param name="keyVersion">The version of the key of this proof.</param>
    public bool Verify(Guid userId, Guid roomId, Guid clientMessageId, byte[] proof, int keyVersion) =>
        CryptographicOperations.FixedTimeEquals(Compute(KeyOf(keyVersion), userId, roomId, clientMessageId), proof);

    /// <summary>Whether a stored entry and an envelope with the same id come from the same sender.</summary>
    public bool IsSameSender(Envelope envelope, byte[]? stored, int keyVersion) => stored is not null && (keyVersion == KeyVersion
        ? CryptographicOperations.FixedTimeEquals(envelope.OwnerProof, stored)
        : Verify(envelope.UserId, envelope.RoomId, envelope.Id, stored, keyVersion));

    private byte[] KeyOf(int version) => version == KeyVersion ? key : olderKeys.GetOrAdd(version, missing => secret.DeriveKey(Purpose, missing));

    private static byte[] Compute(byte[] key, Guid userId, Guid roomId, Guid clientMessageId)
    {
        Span<byte> input = stackalloc byte[48];
        userId.TryWriteBytes(input, bigEndian: true, out _);
        roomId.TryWriteBytes(input[16..], bigEndian: true, out _);
        clientMessageId.TryWriteBytes(input[32..], bigEndian: true, out _);
        Span<byte> mac = stackalloc byte[HMACSHA256.HashSizeInBytes];
        if (ready.Key != key)
        {
            ready.Hmac?.Dispose();
            ready = (key, IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key));
        }

        ready.Hmac.AppendData(input);
        ready.Hmac.GetHashAndReset(mac);
        return mac[..Length].ToArray();
    }
}
