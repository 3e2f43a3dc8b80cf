using System.Diagnostics;
using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Faults.Injectors;

/// <summary>Two of eight clients stop reading. A third of the round is calm, so that one machine in one state is compared with itself.</summary>
internal static class SlowReaders
{
    /// <summary>
    /// A node may keep 64 messages or 1 MiB for one reader, and one message more: 2.5 MiB for two. The rest is what a garbage collector has not collected
    /// yet. A node that kept everything would grow by all that is sent in the meantime, some hundred MiB.
    /// </summary>
    private const double HeapGrowthMiB = 64;

    /// <summary>Others wait at most this much longer, or as many milliseconds, which is below what two processors can tell apart under full load.</summary>
    private const double Slowdown = 2;
    private const double FloorMs = 20;

    private static readonly TimeSpan Sampling = TimeSpan.FromMilliseconds(500);

    public static async Task StallAsync(Injection on)
    {
        var node = on.Cluster.Nodes[0];
        var third = TimeSpan.FromSeconds(Math.Max(1.5, on.Duration.TotalSeconds / 3));
        await Injection.WaitAsync(1);
        var calm = Stopwatch.GetTimestamp();
        var before = await PeakAsync(node, third);
        var stalled = Stopwatch.GetTimestamp();
        node.Victims.Blackhole();
        var during = await PeakAsync(node, third + third);
        var healed = Stopwatch.GetTimestamp();
        on.Recovering();
        on.Cluster.HealAll();
        await Injection.WaitAsync(2);
        var after = await PeakAsync(node, TimeSpan.FromSeconds(1));
        foreach (var (name, peak) in new[] { ("before", before), ("during", during), ("after", after) })
            on.Measure($"memory {name}: resident", Math.Round(peak.Resident), "MiB");
        on.Measure("heap before", Math.Round(before.Heap, 1), "MiB");
        on.Measure("during", Math.Round(during.Heap, 1), "MiB", Math.Round(before.Heap + HeapGrowthMiB, 1));
        on.Measure("after", Math.Round(after.Heap, 1), "MiB", Math.Round(before.Heap + HeapGrowthMiB, 1));
        on.Afterwards = () =>
        {
            Compare(on, "ack", on.Load.AckTimesOfOthers(calm, stalled), on.Load.AckTimesOfOthers(stalled, healed));
            Compare(on, "delivery", on.Load.DeliveryTimesToOthers(calm, stalled), on.Load.DeliveryTimesToOthers(stalled, healed));
        };
    }

    private static void Compare(Injection on, string what, List<TimeSpan> calm, List<TimeSpan> stalled)
    {
        if (Percentile.Of(calm, 0.99) is not { } before || Percentile.Of(stalled, 0.99) is not { } during)
        {
            on.Complaints.Add($"no {what} of the others was measured");
            return;
        }

        on.Measure($"others' {what} p99 before", before, "ms");
        on.Measure("during", during, "ms", Math.Round(Math.Max(before * Slowdown, before + FloorMs), 1));
    }

    private static async Task<(double Heap, double Resident)> PeakAsync(Node node, TimeSpan time)
    {
        var peak = (Heap: 0.0, Resident: 0.0);
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < time; await Task.Delay(Sampling))
        {
            var (heap, resident) = await node.MemoryAsync();
            peak = (Math.Max(peak.Heap, heap), Math.Max(peak.Resident, resident));
        }

        return peak;
    }
}
