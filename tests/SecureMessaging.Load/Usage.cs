using System.Globalization;

namespace SecureMessaging.Load;

/// <summary>What processes have used so far, from /proc.</summary>
internal static class Usage
{
    private const double MicrosecondsPerTick = 10_000;
    private const int KernelThreads = 2;

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

    /// <summary>
    /// CPU in microseconds that has gone to other programs: processes that are neither this one nor started by it, and time that the machine's host gave
    /// to other machines. Threads of the kernel do not count, because they work for the measured servers: they write the logs of databases.
    /// </summary>
    public static double OfOthers()
    {
        var parents = new Dictionary<int, int>();
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory), out var id))
                parents[id] = (int)Field(id, 3);
        }

        var steal = long.Parse(File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[8], CultureInfo.InvariantCulture);
        return (parents.Keys.Where(id => !Descends(id)).Sum(id => Ticks(id, reaped: true)) + steal) * MicrosecondsPerTick;

        bool Descends(int id)
        {
            while (id > 0 && id != Environment.ProcessId && id != KernelThreads)
                id = parents.GetValueOrDefault(id);
            return id != 0;
        }
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
