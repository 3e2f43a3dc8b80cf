namespace SecureMessaging.Server.Mls;

/// <summary>The content of an MLSMessage (RFC 9420 section 6).</summary>
internal enum WireFormat : ushort
{
    PublicMessage = 1,
    PrivateMessage = 2,
    Welcome = 3,
    GroupInfo = 4,
    KeyPackage = 5,
}

/// <summary>The kind of a framed content (RFC 9420 section 6).</summary>
internal enum MlsContentType : byte
{
    Application = 1,
    Proposal = 2,
    Commit = 3,
}

/// <summary>The header of an MLSMessage (RFC 9420 section 6).</summary>
internal static class MlsMessage
{
    public const ushort Version = 1;

    /// <summary>MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, the only supported ciphersuite (RFC 9420 section 17.1).</summary>
    public const ushort Suite = 1;

    public static bool TryOpen(ReadOnlySpan<byte> message, WireFormat format, out MlsReader reader)
    {
        reader = new MlsReader(message);
        return reader.TryReadUInt16(out var version) && version == Version && reader.TryReadUInt16(out var actual) && actual == (ushort)format;
    }

    /// <summary>Reads the header of a PublicMessage up to its kind (RFC 9420 section 6.2), only to explain why it is rejected.</summary>
    public static bool TryReadPublicHeader(ReadOnlySpan<byte> message, out MlsContentType type)
    {
        type = default;
        if (!TryOpen(message, WireFormat.PublicMessage, out var reader)
            || !reader.TrySkipVector()
            || !reader.TryReadUInt64(out _)
            || !reader.TryReadByte(out var sender))
        {
            return false;
        }

        // A member's leaf or an external sender's index; new members have neither.
        if (sender is < 1 or > 4
            || (sender <= 2 && !(reader.TryReadUInt16(out _) && reader.TryReadUInt16(out _)))
            || !reader.TrySkipVector()
            || !reader.TryReadByte(out var content))
        {
            return false;
        }

        type = (MlsContentType)content;
        return Enum.IsDefined(type);
    }
}
