using System.Globalization;
using System.Text;

namespace SecureMessaging.Cli;

/// <summary>Makes text of others harmless in a terminal: no escape sequences, no line breaks, no reordering characters.</summary>
internal static class SafeText
{
    /// <summary>Replaces every control, format (bidirectional overrides, zero-width), line-separator, private and unpaired character by �.</summary>
    public static string Neutralise(string text)
    {
        var safe = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            var hostile = Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned;
            // The joiner in emoji sequences is a format character that changes no order.
            safe.Append(hostile && rune.Value != 0x200D ? "\uFFFD" : rune.ToString());
        }
        return safe.ToString();
    }
}
