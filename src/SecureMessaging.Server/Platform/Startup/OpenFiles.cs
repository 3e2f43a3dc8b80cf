using System.Globalization;

namespace SecureMessaging.Server.Platform.Startup;

/// <summary>The limit of open files of this process. Without a free file the runtime ends the process, not only the request.</summary>
internal static class OpenFiles
{
    private const string Limits = "/proc/self/limits";
    private const string Name = "Max open files";

    /// <summary>Null: no limit, or unknown.</summary>
    public static int? Limit()
    {
        if (!OperatingSystem.IsLinux() || !File.Exists(Limits))
            return null;
        foreach (var line in File.ReadLines(Limits))
        {
            if (line.StartsWith(Name, StringComparison.Ordinal))
                return Parse(line);
        }

        return null;
    }

    public static int Count() => Directory.GetFileSystemEntries("/proc/self/fd").Length;

    /// <summary>The soft limit, which the runtime raises to the hard one at its start.</summary>
    private static int? Parse(string line) =>
        line[Name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var soft, ..]
        && int.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) ? limit : null;
}
