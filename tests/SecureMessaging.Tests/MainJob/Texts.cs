using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.MainJob;

/// <summary>Real text: the licences that Debian ships, or this repository's own pages.</summary>
internal static class Texts
{
    /// <summary>Writes a file with one text per line.</summary>
    public static void Write(string path)
    {
        var licences = Directory.Exists("/usr/share/common-licenses") ? Directory.GetFiles("/usr/share/common-licenses") : [];
        string[] sources = licences.Length > 0 ? licences
            : [.. Directory.GetFiles(Repository.Root, "LICENSE"), .. Directory.GetFiles(Repository.Root, "README.md")];
        var texts = sources
            .SelectMany(file => File.ReadAllText(file).ReplaceLineEndings("\n").Split("\n\n"))
            .Select(paragraph => string.Join(' ', paragraph.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)))
            .Where(text => text.Length > 0)
            .Distinct(StringComparer.Ordinal)
            .ToArray();
        Assert.True(texts.Length >= 5, "There are too few texts on this machine.");
        File.WriteAllLines(path, texts);
    }
}
