using System.Buffers.Binary;
using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// For rooms whose members share one key, exchanged on another way. AES-256-GCM under a key derived for each room by HKDF-SHA256 (RFC 5869).
/// An attacker with the server's data can neither read nor change content, and sees only its size class.
/// </summary>
/// <remarks>
/// <para><b>What it does not give.</b> No forward secrecy and no recovery: an attacker who once gets the key reads all earlier and
/// later messages, and a removed member keeps the key. The sender is a <i>claim</i>: any holder of the key can write under another name.
/// Use MLS where that matters.</para>
/// <para>Envelope: version ‖ nonce (12) ‖ ciphertext ‖ tag (16), with version ‖ room id ‖ message id as associated data, so that the server cannot
/// move an envelope to another room or change its id. Nonces are random: a room's key is safe for 2³² messages (NIST SP 800-38D section 8.3).</para>
/// <para>Envelopes are padded to 256, 512, 1,024 … 32,768 bytes.</para>
/// </remarks>
public sealed class SharedKeyCipher : IEnvelopeCipher
{
    private const byte Version = 1;
    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private const int Overhead = 1 + NonceBytes + TagBytes;
    private const int SmallestEnvelope = 256;
    private const int NameEnvelope = 256;
    private const int KeyBytes = 32;
    private const int PayloadHeader = 16 + 8 + 1 + 4;

    private readonly ConcurrentDictionary<Guid, RoomKeys> rooms = new();

    /// <summary>The most bytes of content, for any length of the sender's name.</summary>
    public static int MaxContentBytes => Limits.Default.CiphertextBytes - Overhead - PayloadHeader - byte.MaxValue;

    /// <summary>A new random room key: 32 bytes as base64url. A holder of the key can read the room.</summary>
    public static string GenerateKey() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(KeyBytes));

    /// <summary>Sets the key of a room, and replaces an earlier one.</summary>
    /// <param name="roomId">The room.</param>
    /// <param name="key">
    /// Base64url of at least 32 random bytes, such as <see cref="GenerateKey"/> makes. Not a password: nothing slows down guessing.
    /// </param>
    /// <exception cref="ArgumentException">The key is not base64url or too short.</exception>
    public void AddRoom(Guid roomId, string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (!Base64Url.IsValid(key))
            throw new ArgumentException("A room key is base64url.", nameof(key));
        var secret = Base64Url.DecodeFromChars(key);
        if (secret.Length < KeyBytes)
            throw new ArgumentException("A room key has at least 32 bytes.", nameof(key));
        rooms[roomId] = new(
            Derive(secret, "SecureMessaging shared key v1 envelope"u8, roomId), Derive(secret, "SecureMessaging shared key v1 name"u8, roomId));
        CryptographicOperations.ZeroMemory(secret);
    }

    /// <summary>Removes the key of a room.</summary>
    public void RemoveRoom(Guid roomId) => rooms.TryRemove(roomId, out _);

    /// <summary>Whether there is a key for the room.</summary>
    public bool Knows(Guid roomId) => rooms.ContainsKey(roomId);

    /// <inheritdoc/>
    public byte[] Seal(Guid roomId, EnvelopeContext context, ReadOnlySpan<byte> plaintext)
    {
        ArgumentNullException.ThrowIfNull(context);
        var keys = KeysOf(roomId);
        var name = Encoding.UTF8.GetBytes(context.SenderName);
        if (name.Length > byte.MaxValue || plaintext.Length > MaxContentBytes)
            throw new ArgumentException($"A message has {MaxContentBytes} bytes at most.", nameof(plaintext));

        var used = PayloadHeader + name.Length + plaintext.Length;
        var payload = new byte[Math.Max(SmallestEnvelope, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)(used + Overhead))) - Overhead];
        context.SenderId.TryWriteBytes(payload, bigEndian: true, out _);
        BinaryPrimitives.WriteInt64BigEndian(payload.AsSpan(16), context.SentAt.ToUnixTimeMilliseconds());
        payload[24] = (byte)name.Length;
        name.CopyTo(payload, 25);
        BinaryPrimitives.WriteInt32BigEndian(payload.AsSpan(25 + name.Length), plaintext.Length);
        plaintext.CopyTo(payload.AsSpan(PayloadHeader + name.Length));
        return Encrypt(keys.Envelope, roomId, context.MessageId, payload);
    }

    /// <inheritdoc/>
    public OpenedEnvelope Open(Guid roomId, Guid messageId, ReadOnlySpan<byte> envelope)
    {
        ReadOnlySpan<byte> payload = Decrypt(KeysOf(roomId).Envelope, roomId, messageId, envelope);
        // A holder of the key wrote the bytes from here on. They can still be hostile.
        if (payload.Length < PayloadHeader)
            throw Malformed();
        var sender = new Guid(payload[..16], bigEndian: true);
        var milliseconds = BinaryPrimitives.ReadInt64BigEndian(payload[16..]);
        var nameLength = payload[24];
        var rest = payload[25..];
        if (rest.Length < nameLength + 4)
            throw Malformed();
        var name = Encoding.UTF8.GetString(rest[..nameLength]);
        var length = BinaryPrimitives.ReadInt32BigEndian(rest[nameLength..]);
        rest = rest[(nameLength + 4)..];
        if (length < 0 || length > rest.Length || rest[length..].ContainsAnyExcept((byte)0)
            || milliseconds < 0 || milliseconds > DateTimeOffset.MaxValue.ToUnixTimeMilliseconds())
        {
            throw Malformed();
        }
        return new(sender, name, DateTimeOffset.FromUnixTimeMilliseconds(milliseconds), rest[..length].ToArray());
    }

    /// <summary>Encrypts a room's name to a constant length that fits <see cref="Limits.NameBytes"/>.</summary>
    /// <exception cref="CryptographicException">There is no key for the room.</exception>
    /// <exception cref="ArgumentException">The name is too long.</exception>
    public byte[] SealName(Guid roomId, string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        var keys = KeysOf(roomId);
        var text = Encoding.UTF8.GetBytes(name);
        var payload = new byte[NameEnvelope - Overhead];
        if (text.Length > payload.Length - 1)
            throw new ArgumentException($"A room's name has {payload.Length - 1} bytes at most.", nameof(name));
        payload[0] = (byte)text.Length;
        text.CopyTo(payload, 1);
        return Encrypt(keys.Name, roomId, roomId, payload);
    }

    /// <summary>
    /// Decrypts a room's name. Null: there is no name, no key, or another key encrypted it. Text of another person: neutralise it before display.
    /// </summary>
    public string? OpenName(Guid roomId, byte[]? sealedName)
    {
        if (sealedName is null || !rooms.TryGetValue(roomId, out var keys))
            return null;
        try
        {
            var payload = Decrypt(keys.Name, roomId, roomId, sealedName);
            return payload.Length > 0 && payload[0] < payload.Length ? Encoding.UTF8.GetString(payload, 1, payload[0]) : null;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    private static byte[] Derive(byte[] secret, ReadOnlySpan<byte> purpose, Guid roomId)
    {
        var key = new byte[KeyBytes];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, key, salt: [], info: [.. purpose, .. roomId.ToByteArray(bigEndian: true)]);
        return key;
    }

    private static byte[] Encrypt(byte[] key, Guid roomId, Guid messageId, byte[] payload)
    {
        var envelope = new byte[payload.Length + Overhead];
        envelope[0] = Version;
        var nonce = envelope.AsSpan(1, NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(key, TagBytes);
        aes.Encrypt(
            nonce, payload, envelope.AsSpan(1 + NonceBytes, payload.Length), envelope.AsSpan(envelope.Length - TagBytes), AssociatedData(roomId, messageId));
        CryptographicOperations.ZeroMemory(payload);
        return envelope;
    }

    private static byte[] Decrypt(byte[] key, Guid roomId, Guid messageId, ReadOnlySpan<byte> envelope)
    {
        if (envelope.Length < Overhead || envelope[0] != Version)
            throw Malformed();
        var payload = new byte[envelope.Length - Overhead];
        using var aes = new AesGcm(key, TagBytes);
        aes.Decrypt(envelope.Slice(1, NonceBytes), envelope[(1 + NonceBytes)..^TagBytes], envelope[^TagBytes..], payload, AssociatedData(roomId, messageId));
        return payload;
    }

    private static byte[] AssociatedData(Guid roomId, Guid messageId) =>
        [Version, .. roomId.ToByteArray(bigEndian: true), .. messageId.ToByteArray(bigEndian: true)];

    private RoomKeys KeysOf(Guid roomId) =>
        rooms.TryGetValue(roomId, out var keys) ? keys : throw new CryptographicException("There is no key for this room.");

    private static CryptographicException Malformed() => new("The envelope is malformed.");

    private sealed record RoomKeys(byte[] Envelope, byte[] Name)
    {
        public override string ToString() => "RoomKeys [REDACTED]";
    }
}
