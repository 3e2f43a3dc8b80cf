using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>Secrets and machine paths are never committed. Source files stay short.</summary>
public sealed partial class SourceTreeTests
{
    private const int MostLines = 400;
    private const int MostColumns = 160;
    private const int MostColumnsOfMarkdown = 120;
    private const int LargestText = 4 * 1024 * 1024;
    private static readonly string[] Code = [".cs", ".ts", ".tsx", ".mjs", ".js"];

    [Fact]
    public void No_secret_is_committed()
    {
        var findings = Texts().SelectMany(file => Secret().Matches(file.Text).Select(match => $"{file.Name}: {match.Value[..Math.Min(match.Length, 12)]}…"));
        Assert.Empty(findings);
    }

    [Fact]
    public void No_path_of_a_machine_is_committed()
    {
        var findings = Texts().SelectMany(file => MachinePath().Matches(file.Text).Select(match => $"{file.Name}: {match.Value}"));
        Assert.Empty(findings);
    }

    [Fact]
    public void No_source_file_is_too_long()
    {
        var findings = Texts()
            .Where(file => file.Name.EndsWith(".cs", StringComparison.Ordinal))
            .Select(file => (file.Name, Lines: file.Text.Count(character => character == '\n')))
            .Where(file => file.Lines >= MostLines);
        Assert.Empty(findings);
    }

    [Fact]
    public void No_line_is_too_long()
    {
        var findings = Texts()
            .Where(file => !Foreign().IsMatch(file.Name))
            .SelectMany(file => TooLong(file.Name, file.Text).Select(line => $"{file.Name}:{line}"));
        Assert.Empty(findings);
    }

    [Fact]
    public void Lines_of_tables_code_blocks_and_links_may_be_long()
    {
        var (length160, length161) = (new string('x', 160), new string('x', 161));
        Assert.Equal([2], TooLong("a.cs", $"{length160}\r\n{length161}\r\n"));
        Assert.Equal([3], TooLong("a.md", $"{new string('x', 120)}\n| {length161} |\n{new string('x', 121)}\n"));
        Assert.Equal([4], TooLong("a.md", $"```sh\n{length161}\n```\n{length161}\n"));
        Assert.Equal([2], TooLong("a.md", $"- [{length161}]({length161}).\n[{length161}]({length161}) and more"));
        foreach (var name in new[] { "a.ts", "a.tsx", "a.mjs", "a.js" })
            Assert.Equal([2], TooLong(name, $"{length160}\n{length161}\n"));
        Assert.Empty(TooLong("a.css", length161));
    }

    /// <summary>Comments, messages, names and documents use the words of the field, with the component as the subject.</summary>
    [Fact]
    public void No_text_uses_words_that_plain_English_avoids()
    {
        var findings = Texts()
            .Where(file => Scanned.Any(folder => file.Name.StartsWith(folder, StringComparison.Ordinal)) && !Foreign().IsMatch(file.Name))
            .SelectMany(file => file.Text.Split('\n').Index()
                .SelectMany(line => Avoided().Matches(line.Item).Select(match => $"{file.Name}:{line.Index + 1}: {match.Value}")));
        Assert.Empty(findings);
    }

    [Fact]
    public void The_scan_finds_what_it_looks_for()
    {
        string[] secrets =
        [
            "-----BEGIN " + "EC PRIVATE KEY-----", "AK" + "IAABCDEFGHIJKLMNOP", "gh" + "p_0123456789abcdefghijABCDEFGHIJ012345",
            "eyJ" + "hbGciOiJFUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
            "{\"kty\":\"EC\",\"d\":" + "\"uTgwM1lYjkKmSyGxk2ZyVfnmzy3jIZcNQtd7bBBOMOU\"}",
        ];
        Assert.All(secrets, secret => Assert.Matches(Secret(), secret));
        Assert.All(["/ho" + "me/alice/x", "/Us" + "ers/alice/x", "C:\\Us" + "ers\\alice", "/wo" + "rk/main"], path => Assert.Matches(MachinePath(), path));
        Assert.All(["Wh" + "oever waits", "a hurry" + "-up", "is_ow" + "ed", "What" + " is sent is"], text => Assert.Matches(Avoided(), text));
        Assert.All(["untold", "the seq is stored", "stillness"], text => Assert.DoesNotMatch(Avoided(), text));
        Assert.Contains(Texts(), file => file.Name == "SecureMessaging.sln");
    }

    /// <summary>
    /// The numbers of the lines that are too long. Lines of Markdown that cannot be wrapped may be long: table rows, code blocks, and lines with only a link.
    /// </summary>
    private static IEnumerable<int> TooLong(string name, string text)
    {
        var isMarkdown = name.EndsWith(".md", StringComparison.Ordinal);
        if (!isMarkdown && !Code.Any(ending => name.EndsWith(ending, StringComparison.Ordinal)))
            yield break;
        var isCode = false;
        foreach (var (index, line) in text.Split('\n').Index())
        {
            var start = line.TrimStart();
            if (isMarkdown && start.StartsWith("```", StringComparison.Ordinal))
                isCode = !isCode;
            var mayBeLong = isMarkdown && (isCode || start.StartsWith('|') || OnlyALink().IsMatch(start));
            if (!mayBeLong && line.TrimEnd('\r').Length > (isMarkdown ? MostColumnsOfMarkdown : MostColumns))
                yield return index + 1;
        }
    }

    private static IEnumerable<(string Name, string Text)> Texts()
    {
        foreach (var name in Files())
        {
            var path = Repository.PathOf(name);
            // Deleted but not committed, or a link to a directory.
            if (!File.Exists(path) || new FileInfo(path).Length > LargestText)
                continue;
            var bytes = File.ReadAllBytes(path);
            if (!bytes.Contains((byte)0))
                yield return (name, Encoding.UTF8.GetString(bytes));
        }
    }

    /// <summary>Tracked files, and untracked ones that are not ignored.</summary>
    private static string[] Files()
    {
        var start = new ProcessStartInfo("git") { RedirectStandardOutput = true, UseShellExecute = false, WorkingDirectory = Repository.Root };
        foreach (var argument in new[] { "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard" })
            start.ArgumentList.Add(argument);
        using var git = Process.Start(start) ?? throw new InvalidOperationException("git did not start.");
        var names = git.StandardOutput.ReadToEnd().Split('\0', StringSplitOptions.RemoveEmptyEntries);
        git.WaitForExit();
        Assert.True(git.ExitCode == 0 && names.Length > 0, "git ls-files lists nothing.");
        return names;
    }

    private static readonly string[] Scanned = ["src/", "tests/", "db/", "deploy/"];

    [GeneratedRegex(@"^(- )?\[[^\]]*\](\([^)]*\)|: \S+)\W*$", RegexOptions.ExplicitCapture, 10_000)]
    private static partial Regex OnlyALink();

    // Licences, lock files, test vectors and reports of API Extractor are texts of others.
    [GeneratedRegex(
        @"/Licences/|THIRD-PARTY-NOTICES|package-lock\.json$|packages\.lock\.json$|/Vectors/|\.api\.md$|/errors\.test\.ts$",
        RegexOptions.None, 10_000)]
    private static partial Regex Foreign();

    // Each with a bracket, so that this file is not a finding. Underscores separate words in names of tests.
    [GeneratedRegex(
        @"(?<![A-Za-z])(wh[o]ever|wh[o]mever|n[o]body|s[o]mebody|a[n]ybody|h[u]rry-up|o[w]ed|h[e]ard|t[o]ld|t[i]ll"
        + @"|as it c[o]mes|no such th[i]ng|sooner or l[a]ter|what is \w+ i[s])(?![A-Za-z/])",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 10_000)]
    private static partial Regex Avoided();

    // PEM keys, AWS ids, GitHub tokens, whole JWTs, private members of JWKs.
    [GeneratedRegex(
        @"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}"
        + @"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+|""d""\s*:\s*""[A-Za-z0-9_-]{40,}""",
        RegexOptions.None, 10_000)]
    private static partial Regex Secret();

    [GeneratedRegex(@"(?<![A-Za-z0-9_.])/(home|Users)/[a-z][a-z0-9_-]*/|[A-Z]:\\Users\\\w+|(?<![A-Za-z0-9_.])/work/\w+", RegexOptions.ExplicitCapture, 10_000)]
    private static partial Regex MachinePath();
}
