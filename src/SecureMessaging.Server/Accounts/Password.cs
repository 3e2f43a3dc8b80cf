using System.Globalization;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Accounts;

/// <summary>
/// A password in the form that is compared: the OpaqueString profile of RFC 8265 section 4.2. Every space becomes U+0020 and the text is in NFC, so that
/// keyboards with different letter composition enter the same password.
/// </summary>
internal readonly record struct Password
{
    private Password(string asTyped, string text) => (AsTyped, Text) = (asTyped, text);

    public string Text { get; }

    public string AsTyped { get; }

    /// <param name="typed">The password from the client.</param>
    /// <param name="field">The member of the request, for errors.</param>
    public static Password Prepare(string typed, string field = "password")
    {
        var spaced = string.Create(typed.Length, typed, static (characters, source) =>
        {
            for (var i = 0; i < source.Length; i++)
                characters[i] = source[i] > '\u007f' && CharUnicodeInfo.GetUnicodeCategory(source[i]) == UnicodeCategory.SpaceSeparator ? ' ' : source[i];
        });
        return new(typed, UnicodeText.ToNfc(spaced) ?? throw ApiException.Invalid("A password must be valid Unicode.", field));
    }

    public override string ToString() => "[REDACTED]";
}
