using System.Diagnostics;
using SecureMessaging.Faults.Checking;
using SecureMessaging.Faults.Clients;
using SecureMessaging.Faults.Injectors;
using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Faults;

/// <summary>One line of the report. Times in milliseconds.</summary>
internal sealed record Row(string Fault, string Engine)
{
    public int Acked { get; init; }
    public int Lost { get; init; }
    public int Duplicated { get; init; }
    public int Reordered { get; init; }
    public int Phantom { get; init; }

    /// <summary>Violations of the other kinds: gaps, mismatches, wire order, skipped pages, leaks, sends that never converged.</summary>
    public int Other { get; init; }

    public double? RecoveryP50Ms { get; init; }
    public double? RecoveryP99Ms { get; init; }
    public double? RecoveryMaxMs { get; init; }
    public double? AckP99Ms { get; init; }
    public double? CalmAckP99Ms { get; init; }

    /// <summary>Longest time from an attempt to its ack, failure or "unknown".</summary>
    public double? SlowestOutcomeMs { get; init; }

    /// <summary>Longest time from SIGTERM to the process's end.</summary>
    public double? SlowestExitMs { get; init; }

    /// <summary>What this fault measures beside.</summary>
    public IReadOnlyList<Figure> Figures { get; init; } = [];

    /// <summary>Promised bounds that were not kept. Empty in short runs.</summary>
    public IReadOnlyList<string> Missed { get; init; } = [];

    public string? Note { get; init; }
    public IReadOnlyList<string> Violations { get; init; } = [];

    /// <summary>Why the round could not be judged.</summary>
    public string? Error { get; init; }

    /// <summary>Whether this machine, not the server, is what keeps the fault from being tried. Neither passed nor failed.</summary>
    public bool NotPossibleHere { get; init; }

    public bool Passed => Error is null && Violations.Count == 0 && Missed.Count == 0;
}

/// <summary>Load, a fault in it, and the judgement.</summary>
internal static class Round
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static async Task<(Row Row, Verdict Verdict)> RunAsync(
        Cluster cluster, LoopDisk? disk, Fault fault, TimeSpan duration, bool isLong, int seed, Action<string> progress)
    {
        string? note = null;
        var on = new Injection(cluster, disk, duration < fault.AtLeast ? fault.AtLeast : duration, isLong, new Random(seed), text => note = text);
        await using var load = await Load.CreateAsync(cluster, fault.Watchers(on), seed, fault.Tickets, fault.VictimsShareRoom);
        on.Load = load;
        using var sending = new CancellationTokenSource();
        using var patience = new CancellationTokenSource();
        var senders = load.SendAsync(sending.Token, patience.Token);
        var injecting = Task.Run(() => fault.InjectAsync(on), CancellationToken.None);
        var watch = Stopwatch.StartNew();
        while (!injecting.IsCompleted)
        {
            progress($"{watch.Elapsed.TotalSeconds:0} s, {load.Acked} acknowledged");
            await Task.WhenAny(injecting, Task.Delay(500, CancellationToken.None));
        }

        cluster.HealAll();
        await sending.CancelAsync();
        patience.CancelAfter(Patience);
        await senders;
        await injecting;
        progress($"{load.Acked} acknowledged, checking");
        var verdict = Checker.Check(await load.SettleAsync());
        on.Afterwards();
        var row = ToRow(fault, on, load, verdict) with { Note = note };
        List<Figure> figures = [.. on.Figures, .. fault.Promises(on, row)];
        var missed = isLong ? figures.Where(figure => figure.Missed).Select(figure => $"promise missed: {figure}") : [];
        var failedStarts = cluster.Nodes.SelectMany(node => node.FailedStarts).ToList();
        if (failedStarts.Count > 0)
            row = row with { Note = $"{note} {failedStarts.Count} starts of a node failed, last: {failedStarts[^1].Split('\n')[^1]}".TrimStart() };
        cluster.Nodes.ForEach(node => node.FailedStarts.Clear());
        return (row with { Figures = figures, Missed = [.. missed] }, verdict);
    }

    private static Row ToRow(Fault fault, Injection on, Load load, Verdict verdict)
    {
        var recoveries = load.Recoveries(on.Marks);
        return new Row(fault.Name, on.Cluster.Shape.Engine)
        {
            Acked = verdict.Acked,
            Lost = verdict[Violation.Lost],
            Duplicated = verdict[Violation.Duplicated],
            Reordered = verdict[Violation.Reordered],
            Phantom = verdict[Violation.Phantom],
            Other = verdict.Other,
            RecoveryP50Ms = Percentile.Of(recoveries, 0.5),
            RecoveryP99Ms = Percentile.Of(recoveries, 0.99),
            RecoveryMaxMs = Percentile.Of(recoveries, 1),
            AckP99Ms = Percentile.Of([.. load.AckTimes(fault.OthersOnly)], 0.99),
            SlowestOutcomeMs = Math.Round(load.SlowestOutcome.TotalMilliseconds),
            SlowestExitMs = on.SlowestExit > TimeSpan.Zero ? Math.Round(on.SlowestExit.TotalMilliseconds) : null,
            Violations = [.. on.Complaints, .. verdict.Clean ? [] : (string[])[verdict.ToString(), .. verdict.Examples]],
            Error = verdict.Acked == 0 ? "nothing was acknowledged: the round proves nothing" : null,
        };
    }
}
