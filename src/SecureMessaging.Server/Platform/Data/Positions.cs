namespace SecureMessaging.Server.Platform.Data;

/// <summary>The range of seqs and epochs: exact in every JSON reader, and without overflow in arithmetic.</summary>
internal static class Positions
{
    public const long Most = (1L << 53) - 1;

    public static void Require(string field, long position, long least = 0)
    {
        if (position < least || position > Most)
            throw ApiException.Invalid($"{field} must be {least} to {Most}.", field);
    }
}
