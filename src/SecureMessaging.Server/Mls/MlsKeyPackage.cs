namespace SecureMessaging.Server.Mls;

/// <summary>A parsed, unverified KeyPackage (RFC 9420 section 10) with its leaf (section 7.2).</summary>
internal readonly ref struct MlsKeyPackage
{
    private const ushort BasicCredential = 1;
    private const byte LeafOfKeyPackage = 1;

    /// <summary>The encoded KeyPackage without the message header: the input of its reference.</summary>
    public ReadOnlySpan<byte> Encoded { get; private init; }

    /// <summary>KeyPackageTBS.</summary>
    public ReadOnlySpan<byte> Signed { get; private init; }

    public ReadOnlySpan<byte> Signature { get; private init; }

    public ReadOnlySpan<byte> InitKey { get; private init; }

    public ReadOnlySpan<byte> EncryptionKey { get; private init; }

    public ReadOnlySpan<byte> SignatureKey { get; private init; }

    public ReadOnlySpan<byte> Identity { get; private init; }

    /// <summary>Seconds since 1970.</summary>
    public ulong NotBefore { get; private init; }

    /// <summary>Seconds since 1970.</summary>
    public ulong NotAfter { get; private init; }

    /// <summary>LeafNodeTBS.</summary>
    public ReadOnlySpan<byte> LeafSigned { get; private init; }

    public ReadOnlySpan<byte> LeafSignature { get; private init; }

    /// <summary>
    /// Reads a whole message. False unless it is a KeyPackage of the supported version and suite, whose leaf is meant for a KeyPackage, has a basic
    /// credential, and supports these and its own extensions; also false when bytes follow it.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> message, out MlsKeyPackage result)
    {
        result = default;
        if (!MlsMessage.TryOpen(message, WireFormat.KeyPackage, out var reader))
            return false;
        var start = reader.Position;
        if (!reader.TryReadUInt16(out var version)
            || version != MlsMessage.Version
            || !reader.TryReadUInt16(out var suite)
            || suite != MlsMessage.Suite
            || !reader.TryReadVector(out var initKey))
        {
            return false;
        }

        var leafStart = reader.Position;
        if (!reader.TryReadVector(out var encryptionKey)
            || !reader.TryReadVector(out var signatureKey)
            || !reader.TryReadUInt16(out var credential)
            || credential != BasicCredential
            || !reader.TryReadVector(out var identity)
            || !TryReadCapabilities(ref reader, out var extensionTypes)
            || !reader.TryReadByte(out var source)
            || source != LeafOfKeyPackage
            || !reader.TryReadUInt64(out var notBefore)
            || !reader.TryReadUInt64(out var notAfter)
            || !TryReadExtensions(ref reader, extensionTypes))
        {
            return false;
        }

        var leafSigned = reader.Since(leafStart);
        if (!reader.TryReadVector(out var leafSignature) || !TryReadExtensions(ref reader, extensionTypes))
            return false;
        var signed = reader.Since(start);
        if (!reader.TryReadVector(out var signature) || !reader.IsAtEnd)
            return false;
        result = new MlsKeyPackage
        {
            Encoded = reader.Since(start),
            Signed = signed,
            Signature = signature,
            InitKey = initKey,
            EncryptionKey = encryptionKey,
            SignatureKey = signatureKey,
            Identity = identity,
            NotBefore = notBefore,
            NotAfter = notAfter,
            LeafSigned = leafSigned,
            LeafSignature = leafSignature,
        };
        return true;
    }

    private static bool TryReadCapabilities(ref MlsReader reader, out ReadOnlySpan<byte> extensions)
    {
        extensions = default;
        return reader.TryReadVector(out var versions)
            && reader.TryReadVector(out var suites)
            && reader.TryReadVector(out extensions)
            && reader.TryReadVector(out var proposals)
            && reader.TryReadVector(out var credentials)
            && Holds(versions, MlsMessage.Version)
            && Holds(suites, MlsMessage.Suite)
            && Holds(credentials, BasicCredential)
            && extensions.Length % sizeof(ushort) == 0
            && proposals.Length % sizeof(ushort) == 0;
    }

    /// <summary>Whether the leaf supports each extension and has each once (RFC 9420 section 13). Default ones (1 to 5) need no entry.</summary>
    private static bool TryReadExtensions(ref MlsReader reader, scoped ReadOnlySpan<byte> supported)
    {
        if (!reader.TryReadVector(out var extensions))
            return false;
        var list = new MlsReader(extensions);
        HashSet<ushort>? seen = null;
        while (!list.IsAtEnd)
        {
            if (!list.TryReadUInt16(out var type) || !list.TrySkipVector() || !(seen ??= []).Add(type) || (type is 0 or > 5 && !Holds(supported, type)))
                return false;
        }

        return true;
    }

    private static bool Holds(ReadOnlySpan<byte> numbers, ushort wanted)
    {
        var list = new MlsReader(numbers);
        var found = false;
        while (!list.IsAtEnd)
        {
            if (!list.TryReadUInt16(out var number))
                return false;
            found |= number == wanted;
        }

        return found;
    }
}
