namespace SecureMessaging.Server.Mls;

/// <summary>RFC 9420 section 6: what an MLSMessage holds.</summary>
internal enum WireFormat : ushort
{
    PublicMessage = 1,
    PrivateMessage = 2,
    Welcome = 3,
    GroupInfo = 4,
    KeyPackage = 5,
}

/// <summary>RFC 9420 section 6: what a framed content is.</summary>
internal enum ContentType : byte
{
    Application = 1,
    Proposal = 2,
    Commit = 3,
}

/// <summary>The header of an MLSMessage (RFC 9420 section 6).</summary>
internal static class MlsMessage
{
    public const ushort Version = 1;

    /// <summary>MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, the one ciphersuite (RFC 9420 section 17.1).</summary>
    public const ushort Suite = 1;

    /// <summary>Begins to read a message of this format; false when it is another or none.</summary>
    public static bool TryOpen(ReadOnlySpan<byte> message, WireFormat format, out MlsReader reader)
    {
        reader = new MlsReader(message);
        return reader.TryReadUInt16(out var version) && version == Version && reader.TryReadUInt16(out var actual) && actual == (ushort)format;
    }

    /// <summary>The header of a PublicMessage up to what it is (RFC 9420 section 6.2); only read to say why it is refused.</summary>
    public static bool TryReadPublicHeader(ReadOnlySpan<byte> message, out ContentType type)
    {
        type = default;
        if (!TryOpen(message, WireFormat.PublicMessage, out var reader) || !reader.TrySkipVector() || !reader.TryReadUInt64(out _) || !reader.TryReadByte(out var sender))
            return false;
        // A member's leaf or an external sender's index; who is new has none.
        if (sender is < 1 or > 4 || (sender <= 2 && !(reader.TryReadUInt16(out _) && reader.TryReadUInt16(out _))) || !reader.TrySkipVector() || !reader.TryReadByte(out var content))
            return false;
        type = (ContentType)content;
        return Enum.IsDefined(type);
    }
}
