using System.Runtime.InteropServices;
using System.Text;

namespace SecureMessaging.Server.Platform;

/// <summary>Normalisation by ICU. In the runtime's invariant mode it silently does nothing, so the server refuses to start in it.</summary>
internal static class UnicodeText
{
    /// <summary>The versions of ICU among which the runtime searches on Linux.</summary>
    private const int OldestIcu = 50;
    private const int NewestIcu = 255;

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

    /// <summary>
    /// Without the libraries of ICU the runtime ends the process at the first text that it compares by a language, with a stack. In its invariant mode it goes on, as far
    /// as to <see cref="RequireIcu"/>. To be called before all else: the runtime reads the mode once.
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
                "The server needs ICU to compare passwords, and .NET runs here without it. Install libicu (Debian: libicu72 or later, Alpine: icu-libs and icu-data-full) "
                + "and unset DOTNET_SYSTEM_GLOBALIZATION_INVARIANT.");
        }
    }

    // Nothing here may need a culture, or it would be the first text.
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
