namespace SecureMessaging.Server.Mls;

/// <summary>Reads the recipients of a Welcome (RFC 9420 section 12.4.3.1).</summary>
internal static class MlsWelcome
{
    /// <summary>
    /// The recipients' KeyPackage references, in order. False unless the message is a Welcome of the supported suite with 1 to
    /// <paramref name="most"/> distinct recipients; also false when bytes follow it.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> message, int most, out List<byte[]> references)
    {
        references = [];
        if (!MlsMessage.TryOpen(message, WireFormat.Welcome, out var reader)
            || !reader.TryReadUInt16(out var suite)
            || suite != MlsMessage.Suite
            || !reader.TryReadVector(out var secrets)
            || !reader.TryReadVector(out var groupInfo)
            || groupInfo.IsEmpty
            || !reader.IsAtEnd)
        {
            return false;
        }

        var seen = new HashSet<KeyPackageReference>();
        var list = new MlsReader(secrets);
        while (!list.IsAtEnd)
        {
            if (!list.TryReadVector(out var reference)
                || reference.Length != KeyPackageReference.Length
                || !list.TrySkipVector()
                || !list.TrySkipVector()
                || references.Count == most
                || !seen.Add(KeyPackageReference.From(reference)))
            {
                return false;
            }

            references.Add(reference.ToArray());
        }

        return references.Count > 0;
    }
}
