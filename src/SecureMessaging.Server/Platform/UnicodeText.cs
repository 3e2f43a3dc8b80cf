using System.Runtime.InteropServices;
using System.Text;

namespace SecureMessaging.Server.Platform;

/// <summary>Normalisation by ICU. In the runtime's invariant mode normalisation silently does nothing, so the server does not start in it.</summary>
internal static class UnicodeText
{
    private const int OldestIcu = 50;
    private const int NewestIcu = 255;

    /// <summary>The text in NFC; null if it is not valid Unicode.</summary>
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

    /// <summary>
    /// Must run first, because the runtime reads the mode once. Without ICU the runtime ends the process with a stack trace at the first
    /// culture-sensitive comparison; in invariant mode the process reaches <see cref="RequireIcu"/>.
    /// </summary>
    public static void ExpectIcu()
    {
        if (OperatingSystem.IsLinux() && !HasLibrary())
            AppContext.SetSwitch("System.Globalization.Invariant", true);
    }

    public static void RequireIcu()
    {
        if (ToNfc("e\u0301") != "\u00e9")
        {
            throw new StartException(
                "The server needs ICU to compare passwords, and .NET runs here without it. "
                + "Install libicu (Debian: libicu72 or later, Alpine: icu-libs and icu-data-full) "
                + "and unset DOTNET_SYSTEM_GLOBALIZATION_INVARIANT.");
        }
    }

    // Must not use a culture: that would be the first comparison.
    private static bool HasLibrary()
    {
        for (var version = OldestIcu; version <= NewestIcu; version++)
        {
            if (NativeLibrary.TryLoad($"libicuuc.so.{version}", out _))
                return true;
        }

        return false;
    }
}
