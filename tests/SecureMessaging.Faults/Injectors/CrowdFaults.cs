using System.Diagnostics;
using SecureMessaging.Faults.Clients;
using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Faults.Injectors;

/// <summary>What happens to a node that has many connections.</summary>
/// <remarks>
/// "Resumed" is a client that is connected and has caught up with all its rooms. The promise counts from the moment a node is there to answer: with one
/// node when its replacement answers HTTP, with two at once, because the other one lives.
/// </remarks>
internal static class CrowdFaults
{
    private const double ResumedP99Ms = 5_000;
    private const double AllResumedMs = 60_000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    /// <summary>The only node dies and is started again at once.</summary>
    public static Task KillAsync(Injection on) => RepeatAsync(on, async (node, crowd, killed) =>
    {
        // The last answers of the dead arrive first, or they would pass for recovery.
        await Injection.WaitAsync(0.1);
        on.Recovering();
        await node.StartAsync();
        var answering = Stopwatch.GetTimestamp();
        await Load.ResumedAsync(crowd, killed, Patience);
        return answering;
    });

    /// <summary>
    /// One of two nodes dies. It stays away until its clients have moved: in earnest it would not take the survivor's processor to start again.
    /// </summary>
    public static Task KillOneOfTwoAsync(Injection on) => RepeatAsync(on, async (node, crowd, killed) =>
    {
        await Injection.WaitAsync(0.1);
        on.Recovering();
        await Load.ResumedAsync(crowd, killed, Patience);
        await node.StartAsync();
        return killed;
    });

    private static async Task RepeatAsync(Injection on, Func<Node, List<RawClient>, long, Task<long>> killAsync)
    {
        var fromKill = new List<TimeSpan>();
        var fromAnswer = new List<TimeSpan>();
        var away = TimeSpan.Zero;
        var (harness, nodes, size) = (TimeSpan.Zero, TimeSpan.Zero, 0);
        await on.RepeatAsync(2, async () =>
        {
            var node = on.Cluster.Nodes.MaxBy(node => on.Load.On(node).Count)!;
            var others = on.Cluster.Nodes.Where(other => other != node).ToList();
            var crowd = on.Load.On(node);
            size = Math.Max(size, crowd.Count);
            var before = (Harness: Environment.CpuUsage.TotalTime, Nodes: others.Select(other => other.Process.ProcessorTime).ToList());
            var killed = Stopwatch.GetTimestamp();
            await node.KillAsync();
            var answering = await killAsync(node, crowd, killed);
            harness += Environment.CpuUsage.TotalTime - before.Harness;
            nodes += node.Process.ProcessorTime;
            for (var i = 0; i < others.Count; i++)
                nodes += others[i].Process.ProcessorTime - before.Nodes[i];
            var gone = Stopwatch.GetElapsedTime(killed, answering);
            away = gone > away ? gone : away;
            fromKill.AddRange(crowd.Select(client => Stopwatch.GetElapsedTime(killed, client.CaughtUpAt)));
            fromAnswer.AddRange(crowd.Select(client => Stopwatch.GetElapsedTime(answering, Math.Max(answering, client.CaughtUpAt))));
        });
        on.Measure("connections", size, "at most");
        on.Measure("no node answered for", Math.Round(away.TotalMilliseconds), "ms at most");
        on.Measure("resumed after the kill p50", Percentile.Of(fromKill, 0.5) ?? 0, "ms");
        on.Measure("p99", Percentile.Of(fromKill, 0.99) ?? 0, "ms");
        on.Measure("all", Percentile.Of(fromKill, 1) ?? 0, "ms");
        on.Measure("resumed after a node answered p50", Percentile.Of(fromAnswer, 0.5) ?? 0, "ms");
        on.Measure("p99", Percentile.Of(fromAnswer, 0.99) ?? 0, "ms", ResumedP99Ms);
        on.Measure("all", Percentile.Of(fromAnswer, 1) ?? 0, "ms", AllResumedMs);
        on.Measure("processor time of the clients", Math.Round(harness.TotalSeconds, 1), "s");
        on.Measure("of the nodes", Math.Round(nodes.TotalSeconds, 1), "s");
    }
}
