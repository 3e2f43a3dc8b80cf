using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>Hazard 36: what must never be committed; and a file tells one thing.</summary>
public sealed partial class SourceTreeTests
{
    private const int MostLines = 400;
    private const int LargestText = 4 * 1024 * 1024;

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
    public void The_scan_finds_what_it_looks_for()
    {
        string[] secrets =
        [
            "-----BEGIN " + "EC PRIVATE KEY-----", "AK" + "IAABCDEFGHIJKLMNOP", "gh" + "p_0123456789abcdefghijABCDEFGHIJ012345",
            "eyJ" + "hbGciOiJFUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl", "{\"kty\":\"EC\",\"d\":" + "\"uTgwM1lYjkKmSyGxk2ZyVfnmzy3jIZcNQtd7bBBOMOU\"}",
        ];
        Assert.All(secrets, secret => Assert.Matches(Secret(), secret));
        Assert.All(["/ho" + "me/alice/x", "/Us" + "ers/alice/x", "C:\\Us" + "ers\\alice", "/wo" + "rk/main"], path => Assert.Matches(MachinePath(), path));
        Assert.Contains(Texts(), file => file.Name == "SecureMessaging.sln");
    }

    private static IEnumerable<(string Name, string Text)> Texts()
    {
        foreach (var name in Files())
        {
            var path = Repository.PathOf(name);
            // Deleted and not yet committed, or a link to a directory.
            if (!File.Exists(path) || new FileInfo(path).Length > LargestText)
                continue;
            var bytes = File.ReadAllBytes(path);
            if (!bytes.Contains((byte)0))
                yield return (name, Encoding.UTF8.GetString(bytes));
        }
    }

    /// <summary>What git knows, and what it would take in next.</summary>
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

    // PEM keys, AWS ids, GitHub tokens, whole JWTs, private members of JWKs.
    [GeneratedRegex(@"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+|""d""\s*:\s*""[A-Za-z0-9_-]{40,}""", RegexOptions.None, 10_000)]
    private static partial Regex Secret();

    [GeneratedRegex(@"(?<![A-Za-z0-9_.])/(home|Users)/[a-z][a-z0-9_-]*/|[A-Z]:\\Users\\\w+|(?<![A-Za-z0-9_.])/work/\w+", RegexOptions.ExplicitCapture, 10_000)]
    private static partial Regex MachinePath();
}
