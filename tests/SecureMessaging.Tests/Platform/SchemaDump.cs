using System.Diagnostics;
using System.Text.RegularExpressions;
using Npgsql;

namespace SecureMessaging.Tests.Platform;

/// <summary>A schema from pg_dump without the parts that differ between installations: comments, settings, owners, restrict keys.</summary>
internal static partial class SchemaDump
{
    public static async Task<string> ReadAsync(string connectionString)
    {
        var connection = new NpgsqlConnectionStringBuilder(connectionString);
        var start = new ProcessStartInfo("pg_dump") { RedirectStandardOutput = true, UseShellExecute = false, RedirectStandardError = true };
        foreach (var argument in new[] { "--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces", "--no-comments" })
            start.ArgumentList.Add(argument);
        start.Environment["PGHOST"] = connection.Host;
        start.Environment["PGPORT"] = connection.Port.ToString();
        start.Environment["PGUSER"] = connection.Username;
        start.Environment["PGDATABASE"] = connection.Database;
        using var process = Process.Start(start) ?? throw new InvalidOperationException("pg_dump did not start.");
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, await errors);
        var text = string.Join('\n', (await output).Split('\n').Where(line => !Noise().IsMatch(line)));
        return "-- The schema that db/postgres leads to; a test compares. Written by pg_dump.\n\n" + BlankLines().Replace(text, "\n\n").Trim() + "\n";
    }

    [GeneratedRegex(@"^(--|SET |SELECT pg_catalog\.set_config|\\restrict|\\unrestrict)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Noise();

    [GeneratedRegex(@"\n{3,}", RegexOptions.None, 1000)]
    private static partial Regex BlankLines();
}
