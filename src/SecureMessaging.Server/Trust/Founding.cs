using SecureMessaging.Server.Mls;

namespace SecureMessaging.Server.Trust;

/// <summary>The bytes from which the id of a room is computed: section 2 of <c>SecureMessaging.Protocol/Trust/README.md</c>.</summary>
/// <param name="IsDirect">Whether the room is for two users for ever.</param>
/// <param name="Founder">Who creates the room.</param>
/// <param name="Other">In a direct room: the other user.</param>
/// <param name="RoomId">The room's id.</param>
internal sealed record Founding(bool IsDirect, Guid Founder, Guid? Other, Guid RoomId)
{
    /// <summary>The length of the founding of a direct room.</summary>
    public const int MostBytes = FounderOffset + SignedObject.IdLength + SignedObject.KeyLength + NonceLength + SignedObject.IdLength;

    /// <summary>Where the founder's id begins. The scheme has always the same length.</summary>
    public const int FounderOffset = 2 + 1 + 5 + 1;

    /// <summary>Where the other user's id begins.</summary>
    public const int OtherOffset = FounderOffset + SignedObject.IdLength + SignedObject.KeyLength + NonceLength;

    /// <summary>The only scheme whose rooms have a founding.</summary>
    private static ReadOnlySpan<byte> Scheme => "mls10"u8;

    private const ushort Version = 1;
    private const byte Group = 1;
    private const byte Direct = 2;
    private const int NonceLength = 16;

    /// <summary>Null: the bytes are not a founding of version 1.</summary>
    public static Founding? TryRead(ReadOnlySpan<byte> bytes)
    {
        var reader = new MlsReader(bytes);
        if (bytes.Length > MostBytes
            || !reader.TryReadUInt16(out var version)
            || version != Version
            || !reader.TryReadVector(out var scheme)
            || !scheme.SequenceEqual(Scheme)
            || !reader.TryReadByte(out var kind)
            || kind is not (Group or Direct)
            || !SignedObject.TryReadId(ref reader, out var founder)
            || !reader.TryReadBytes(SignedObject.KeyLength + NonceLength, out _))
        {
            return null;
        }

        Guid? other = null;
        if (kind == Direct)
        {
            if (!SignedObject.TryReadId(ref reader, out var second) || second == founder)
                return null;
            other = second;
        }

        return reader.IsAtEnd ? new Founding(kind == Direct, founder, other, IdOf(bytes)) : null;
    }

    private static Guid IdOf(ReadOnlySpan<byte> bytes)
    {
        var id = SignedObject.Hash(nameof(Founding), bytes).AsSpan(0, SignedObject.IdLength);
        // Version and variant of a random UUID (RFC 9562 section 5.4).
        id[6] = (byte)((id[6] & 0x0F) | 0x40);
        id[8] = (byte)((id[8] & 0x3F) | 0x80);
        return new Guid(id, bigEndian: true);
    }
}
