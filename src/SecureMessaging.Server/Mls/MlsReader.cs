using System.Buffers.Binary;

namespace SecureMessaging.Server.Mls;

/// <summary>
/// Reads the TLS presentation language as used by MLS (RFC 9420 section 2.1) from untrusted bytes: every read is bounds-checked, none throws. After a
/// failed read the position is undefined.
/// </summary>
internal ref struct MlsReader(ReadOnlySpan<byte> message)
{
    private readonly ReadOnlySpan<byte> whole = message;

    public int Position { get; private set; }

    public readonly bool IsAtEnd => Position == whole.Length;

    public readonly ReadOnlySpan<byte> Since(int start) => whole[start..Position];

    public bool TryReadByte(out byte value)
    {
        var ok = TryTake(1, out var bytes);
        value = ok ? bytes[0] : default;
        return ok;
    }

    public bool TryReadUInt16(out ushort value)
    {
        var ok = TryTake(sizeof(ushort), out var bytes);
        value = ok ? BinaryPrimitives.ReadUInt16BigEndian(bytes) : default;
        return ok;
    }

    public bool TryReadUInt64(out ulong value)
    {
        var ok = TryTake(sizeof(ulong), out var bytes);
        value = ok ? BinaryPrimitives.ReadUInt64BigEndian(bytes) : default;
        return ok;
    }

    /// <summary>Bytes of a fixed length, <c>opaque x[count]</c>.</summary>
    public bool TryReadBytes(int count, out ReadOnlySpan<byte> bytes) => TryTake(count, out bytes);

    /// <summary>A vector with its length before it, <c>opaque x&lt;V&gt;</c> (RFC 9420 section 2.1.2).</summary>
    public bool TryReadVector(out ReadOnlySpan<byte> content)
    {
        content = default;
        return TryReadLength(out var length) && TryTake(length, out content);
    }

    public bool TrySkipVector() => TryReadVector(out _);

    /// <summary>
    /// A length of one, two or four bytes; its first two bits encode the size. Only the shortest form is valid, so a message has one encoding.
    /// </summary>
    private bool TryReadLength(out int length)
    {
        length = 0;
        if (Position >= whole.Length)
            return false;
        var size = whole[Position] >> 6;
        if (size == 3 || !TryTake(1 << size, out var bytes))
            return false;
        length = size switch
        {
            0 => bytes[0],
            1 => BinaryPrimitives.ReadUInt16BigEndian(bytes) & 0x3FFF,
            _ => (int)(BinaryPrimitives.ReadUInt32BigEndian(bytes) & 0x3FFF_FFFF),
        };
        return size switch { 0 => true, 1 => length > 0x3F, _ => length > 0x3FFF };
    }

    private bool TryTake(int count, out ReadOnlySpan<byte> bytes)
    {
        bytes = default;
        if (count > whole.Length - Position)
            return false;
        bytes = whole.Slice(Position, count);
        Position += count;
        return true;
    }
}
