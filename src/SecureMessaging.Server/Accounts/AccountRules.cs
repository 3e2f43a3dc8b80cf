using System.Buffers;
using System.Globalization;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Accounts;

/// <summary>Checks usernames, e-mail addresses and passwords. Each method returns the value to use or throws <see cref="ErrorCode.Invalid"/>.</summary>
internal sealed class AccountRules(Limits limits)
{
    public const int UsernameMinCharacters = 3;

    /// <summary>The shortest that has a mailbox, an at sign and a domain.</summary>
    public const int EmailMinCharacters = 3;

    public const string UsernamePattern = "^[A-Za-z0-9._-]+$";

    // The characters of UsernamePattern. A regular expression would let a line break at the end pass.
    // Checked before folding: some letters outside ASCII fold into it, such as the Kelvin sign.
    private static readonly SearchValues<char> UsernameCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    private static readonly SearchValues<char> NotInMailbox = SearchValues.Create("\"(),:;<>@[\\]");

    public string Username(string given) =>
        FoldUsername(given) ?? throw ApiException.Invalid(
            $"username must have {UsernameMinCharacters} to {limits.UsernameCharacters} characters of a-z, 0-9, dot, underscore and hyphen.", "username");

    /// <summary>The username in its stored form. Null: not a valid username.</summary>
    public string? FoldUsername(string given) =>
        given.Length >= UsernameMinCharacters && given.Length <= limits.UsernameCharacters && !given.AsSpan().ContainsAnyExcept(UsernameCharacters)
            ? given.ToLowerInvariant()
            : null;

    /// <summary>Deliberately coarse: only a delivered mail proves an address. Characters that could break a header or a log are rejected.</summary>
    public string Email(string given)
    {
        var text = UnicodeText.ToNfc(given) ?? "";
        var at = text.IndexOf('@', StringComparison.Ordinal);
        return text.Length <= limits.EmailCharacters && at is > 0 and <= 64 && IsMailbox(text.AsSpan(0, at)) && IsDomain(text.AsSpan(at + 1))
            && EmailCipher.ToAscii(text[(at + 1)..]) is not null
            ? text
            : throw ApiException.Invalid("email must be an e-mail address, such as anna@example.org.", "email");
    }

    /// <summary>The name of a sign-in, in lower case. The check reveals nothing about existing accounts.</summary>
    public string Login(string given) =>
        given.Length > 0 && given.Length <= limits.EmailCharacters && !HasControl(given)
            ? given.ToLowerInvariant()
            : throw ApiException.Invalid("username must be a username or an e-mail address.", "username");

    public Password NewPassword(string given, string field = "password")
    {
        var password = GivenPassword(given, field);
        return password.Text.EnumerateRunes().Count() >= limits.PasswordMinCharacters
            ? password
            : throw ApiException.Invalid($"{field} must have at least {limits.PasswordMinCharacters} characters.", field);
    }

    public Password GivenPassword(string given, string field = "password")
    {
        var password = Password.Prepare(given, field);
        if (password.Text.EnumerateRunes().Count() > limits.PasswordMaxCharacters)
            throw ApiException.Invalid($"{field} must have at most {limits.PasswordMaxCharacters} characters.", field);
        return !HasControl(password.Text) ? password : throw ApiException.Invalid($"{field} must not have control characters.", field);
    }

    private static bool IsMailbox(ReadOnlySpan<char> text) =>
        !text.ContainsAny(NotInMailbox) && !HasUnprintable(text) && text[0] != '.' && text[^1] != '.' && !text.Contains("..", StringComparison.Ordinal);

    private static bool IsDomain(ReadOnlySpan<char> text)
    {
        var labels = 0;
        foreach (var range in text.Split('.'))
        {
            labels++;
            var label = text[range];
            if (label.Length is 0 or > 63 || label[0] == '-' || label[^1] == '-')
                return false;
            foreach (var character in label)
            {
                if (!char.IsLetterOrDigit(character) && character != '-' && CharUnicodeInfo.GetUnicodeCategory(character) != UnicodeCategory.NonSpacingMark)
                    return false;
            }
        }

        return labels > 1;
    }

    private static bool HasControl(ReadOnlySpan<char> text)
    {
        foreach (var character in text)
        {
            if (char.IsControl(character))
                return true;
        }

        return false;
    }

    private static bool HasUnprintable(ReadOnlySpan<char> text)
    {
        foreach (var character in text)
        {
            if (char.IsWhiteSpace(character) || CharUnicodeInfo.GetUnicodeCategory(character)
                is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned)
                return true;
        }

        return false;
    }
}
