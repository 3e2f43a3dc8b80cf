namespace SecureMessaging.Server.Platform;

/// <summary>The range of seqs and epochs. Every JSON reader keeps these numbers exactly, and arithmetic with them does not overflow.</summary>
internal static class Positions
{
    public const long Most = (1L << 53) - 1;

    /// <param name="field">The parameter or member that holds it.</param>
    /// <param name="position">A seq or an epoch that a client gave.</param>
    /// <param name="least">The smallest that makes sense here.</param>
    public static void Require(string field, long position, long least = 0)
    {
        if (position < least || position > Most)
            throw ApiException.Invalid($"{field} must be {least} to {Most}.", field);
    }
}
