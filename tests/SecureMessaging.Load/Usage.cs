using System.Globalization;

namespace SecureMessaging.Load;

/// <summary>What processes have used so far, from /proc.</summary>
internal static class Usage
{
    private const double MicrosecondsPerTick = 10_000;

    /// <summary>CPU of a process in microseconds, and of its children, living or not (Postgres has one for each connection).</summary>
    public static double CpuMicroseconds(int process, bool family = false)
    {
        var ticks = Ticks(process, family);
        if (family)
        {
            foreach (var directory in Directory.EnumerateDirectories("/proc"))
            {
                if (int.TryParse(Path.GetFileName(directory), out var id) && Field(id, 3) == process)
                    ticks += Ticks(id, reaped: false);
            }
        }

        return ticks * MicrosecondsPerTick;
    }

    /// <summary>Private memory of a process in bytes: the memory that a machine needs for it.</summary>
    public static long PrivateBytes(int process)
    {
        foreach (var line in File.ReadLines($"/proc/{process}/smaps_rollup"))
        {
            if (line.StartsWith("Anonymous:", StringComparison.Ordinal))
                return long.Parse(line.AsSpan("Anonymous:".Length).Trim(" kB"), CultureInfo.InvariantCulture) * 1024;
        }

        return 0;
    }

    private static double Ticks(int process, bool reaped) =>
        Field(process, 13) + Field(process, 14) + (reaped ? Field(process, 15) + Field(process, 16) : 0);

    /// <summary>A field of /proc/PID/stat by its number from 0; 0 when the process is gone.</summary>
    private static long Field(int process, int index)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{process}/stat");
            // The name may hold spaces, and ends with the last parenthesis.
            return long.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[index - 2], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
