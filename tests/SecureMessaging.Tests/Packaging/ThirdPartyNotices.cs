using System.Text;

namespace SecureMessaging.Tests.Packaging;

/// <summary>A third-party package in the shipped files.</summary>
/// <param name="Name">The name in its registry.</param>
/// <param name="Licence">An SPDX expression.</param>
/// <param name="Text">The full text of the licence, with the copyright line.</param>
/// <param name="Notices">Other notices that the package requires.</param>
internal sealed record ThirdPartyPackage(string Name, string Licence, string Text, IReadOnlyList<string> Notices);

/// <summary>
/// Writes the file that accompanies a program. Packages with the same text share it. No versions: a new version with the same licence changes
/// nothing.
/// </summary>
internal static class ThirdPartyNotices
{
    private const string Line = "================================================================================";

    public static string Write(string program, IReadOnlyCollection<ThirdPartyPackage> packages, IReadOnlyCollection<string> remarks)
    {
        var text = new StringBuilder();
        text.Append($"Third-party notices\n\n{program} contains the following software of others, under the licences below.\n\n");
        foreach (var package in packages.OrderBy(package => package.Name, StringComparer.Ordinal))
            text.Append($"  {package.Name} ({package.Licence})\n");
        foreach (var remark in remarks)
            text.Append($"\n{remark}\n");
        Append(text, "Licence of", packages.Select(package => (package.Name, package.Text)));
        Append(text, "Notices that accompany", packages.SelectMany(package => package.Notices.Select(notice => (package.Name, notice))));
        return text.ToString();
    }

    private static void Append(StringBuilder text, string heading, IEnumerable<(string Name, string Text)> parts)
    {
        foreach (var group in parts.GroupBy(part => part.Text, part => part.Name).OrderBy(group => group.Min(StringComparer.Ordinal), StringComparer.Ordinal))
            text.Append($"\n{Line}\n{heading} {string.Join(", ", group.Distinct().Order(StringComparer.Ordinal))}\n{Line}\n\n{group.Key}\n");
    }
}
