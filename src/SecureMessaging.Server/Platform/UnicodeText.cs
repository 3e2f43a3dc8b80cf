using System.Text;

namespace SecureMessaging.Server.Platform;

/// <summary>Normalisation by ICU. In the runtime's invariant mode it silently does nothing, so the server refuses to start in it.</summary>
internal static class UnicodeText
{
    /// <summary>The text in NFC; null when it is not valid Unicode.</summary>
    public static string? ToNfc(string text)
    {
        try
        {
            return text.Normalize(NormalizationForm.FormC);
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    public static void RequireIcu()
    {
        if (ToNfc("e\u0301") != "\u00e9")
        {
            throw new StartException(
                "The server needs ICU to compare passwords, and .NET runs here without it. Install libicu (Debian: libicu72 or later, Alpine: icu-libs and icu-data-full) "
                + "and unset DOTNET_SYSTEM_GLOBALIZATION_INVARIANT.");
        }
    }
}
