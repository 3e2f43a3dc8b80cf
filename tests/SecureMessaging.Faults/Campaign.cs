using SecureMessaging.Faults.Clients;
using SecureMessaging.Faults.Injectors;
using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Faults;

/// <summary>All chosen faults on all chosen engines, one after the other.</summary>
internal static class Campaign
{
    public static async Task<int> RunAsync(Options options)
    {
        var unknown = options.Faults.Except(Catalogue.All.Select(fault => fault.Name), StringComparer.Ordinal).ToList();
        if (unknown.Count > 0)
        {
            await Console.Error.WriteLineAsync($"No such fault: {string.Join(", ", unknown)}. --list names them.");
            return 2;
        }

        var chosen = options.Faults.Length == 0
            ? Catalogue.Runnable.ToList()
            : Catalogue.All.Where(fault => options.Faults.Contains(fault.Name, StringComparer.Ordinal)).ToList();
        var rows = new List<Row>();
        Console.WriteLine(Report.Heading);
        foreach (var engine in (string[])["sqlite", "postgres"])
        {
            if (options.Engine is null || options.Engine == engine)
                await RunAsync(options, engine, [.. chosen.Where(fault => fault.Engines.Contains(engine, StringComparer.Ordinal))], rows);
        }

        Print(rows);
        if (options.Json is not null)
            await Report.WriteAsync(options.Json, rows);
        var passed = rows.Count(row => row.Passed);
        var failed = rows.Count(row => !row.Passed && !row.NotPossibleHere);
        Console.WriteLine($"{passed} passed, {failed} failed");
        return passed > 0 && failed == 0 ? 0 : 1;
    }

    private static async Task RunAsync(Options options, string engine, List<Fault> faults, List<Row> rows)
    {
        Cluster? cluster = null;
        try
        {
            // Rounds of one shape share a cluster, which also shows that each left it in working order.
            foreach (var fault in faults.OrderBy(fault => fault.Nodes).ThenBy(fault => fault.NeedsDisk || fault.Change is not null))
            {
                var shape = new Shape(engine, fault.Nodes, fault.Change);
                if (cluster is not null && (cluster.Shape != shape || fault.NeedsDisk))
                {
                    await cluster.DisposeAsync();
                    cluster = null;
                }

                var (row, keep) = await RunAsync(options, fault, shape, cluster, rows);
                cluster = keep;
                rows.Add(row);
                Progress.End(Report.Line(row));
            }
        }
        finally
        {
            if (cluster is not null)
                await cluster.DisposeAsync();
        }
    }

    private static async Task<(Row Row, Cluster? Keep)> RunAsync(Options options, Fault fault, Shape shape, Cluster? cluster, List<Row> rows)
    {
        LoopDisk? disk = null;
        try
        {
            if (fault.NeedsDisk)
            {
                disk = await LoopDisk.CreateAsync();
                cluster = await Cluster.StartAsync(shape, Path.Combine(disk.MountPoint, "postgres"));
            }

            Progress.Show($"{fault.Name} on {shape.Engine}: starting");
            if (cluster is null)
            {
                cluster = await Cluster.StartAsync(shape);
                await WarmUpAsync(cluster);
            }

            var (row, _) = await Round.RunAsync(
                cluster, disk, fault, options.Duration, options.IsLong, options.Seed, text => Progress.Show($"{fault.Name} on {shape.Engine}: {text}"));
            var calm = rows.Find(earlier => earlier.Engine == shape.Engine && IsCalmFor(earlier.Fault, shape.Nodes));
            return (row with { CalmAckP99Ms = calm?.AckP99Ms ?? (IsCalmFor(row.Fault, shape.Nodes) ? row.AckP99Ms : null) }, fault.NeedsDisk ? null : cluster);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            var impossible = fault.NeedsDisk && disk is null;
            if (cluster is not null && !fault.NeedsDisk)
                await cluster.DisposeAsync();
            return (new Row(fault.Name, shape.Engine)
            {
                NotPossibleHere = impossible,
                Error = (impossible ? "not possible here: " : "")
                + exception.Message
            }, null);
        }
        finally
        {
            if (disk is not null)
            {
                if (cluster is not null)
                    await cluster.DisposeAsync();
                await disk.DisposeAsync();
            }
        }
    }

    /// <summary>Lets the nodes compile what they will run, or the calm round would measure the compiler.</summary>
    private static async Task WarmUpAsync(Cluster cluster)
    {
        await using var load = await Load.CreateAsync(cluster, 0, 0);
        using var sending = new CancellationTokenSource(TimeSpan.FromSeconds(1.5));
        await load.SendAsync(sending.Token, CancellationToken.None);
    }

    private static bool IsCalmFor(string fault, int nodes) => fault == nodes switch { 1 => "calm", 2 => "calm-two-nodes", _ => "calm-three-nodes" };

    private static void Print(List<Row> rows)
    {
        Console.WriteLine($"{rows.Sum(row => (long)row.Acked)} sends acknowledged in {rows.Count} rounds");
        foreach (var row in rows.Where(row => !row.Passed))
        {
            Console.WriteLine($"{(row.NotPossibleHere ? "" : "FAILED  ")}{row.Fault} on {row.Engine}: {row.Error}");
            foreach (var violation in row.Violations.Concat(row.Missed))
                Console.WriteLine($"    {violation}");
        }
    }
}
