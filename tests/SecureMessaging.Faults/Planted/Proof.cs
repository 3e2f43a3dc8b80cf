using SecureMessaging.Faults.Checking;
using SecureMessaging.Faults.Injectors;
using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Faults.Planted;

/// <summary>A bug for the checker to find.</summary>
/// <param name="Name">Also what <see cref="PlantedServer"/> calls it.</param>
/// <param name="What">One sentence for the list.</param>
/// <param name="Fault">Under which fault it shows.</param>
/// <param name="Expected">Any of these must be reported.</param>
internal sealed record Bug(string Name, string What, string Fault, Violation[] Expected);

/// <summary>Shows that the checker would notice: first on written histories, then on servers with a bug planted in them.</summary>
internal static class Proof
{
    public static IReadOnlyList<Bug> Bugs { get; } =
    [
        new("global-sequence", "seq is drawn from one sequence over all rooms", "calm", [Violation.SeqGap, Violation.CursorSkip]),
        new("ack-before-commit", "the sender is answered before the commit", "node-kill", [Violation.Lost]),
        new("no-deduplication", "a repeated send is stored again", "client-cut", [Violation.Duplicated]),
        new("publish-before-commit", "entries go out before their commit, which may fail", "calm", [Violation.Phantom, Violation.Mismatch]),
        new("tail-ignores-roster", "the tail does not apply removals", "roster", [Violation.Leaked]),
        new("tail-skips-gaps", "the tail goes on after a gap without filling it", "calm", [Violation.Wire]),
    ];

    public static async Task<int> RunAsync(Options options)
    {
        var missed = 0;
        var all = 0;
        foreach (var (name, found, verdict) in PlantedHistories.Run())
        {
            Progress.End($"{"history: " + name,-52} {(found ? "found" : "MISSED"),-7} {verdict}");
            missed += found ? 0 : 1;
            all++;
        }

        foreach (var bug in Bugs.Where(bug => options.Faults.Length == 0 || options.Faults.Contains(bug.Name, StringComparer.Ordinal)))
        {
            var fault = Catalogue.All.Single(fault => fault.Name == bug.Fault);
            var (found, text) = await JudgeAsync(options, bug, fault);
            Progress.End($"{"server: " + bug.Name + " under " + fault.Name,-52} {(found ? "found" : "MISSED"),-7} {text}");
            missed += found ? 0 : 1;
            all++;
        }

        Console.WriteLine($"{all - missed} passed, {missed} failed");
        return missed == 0 ? 0 : 1;
    }

    private static async Task<(bool Found, string Text)> JudgeAsync(Options options, Bug bug, Fault fault)
    {
        try
        {
            await using var cluster = await Cluster.StartAsync(new Shape("sqlite", 1, bug.Name));
            var (row, verdict) = await Round.RunAsync(
                cluster, null, fault, options.Duration, options.IsLong, options.Seed, text => Progress.Show($"{bug.Name} under {fault.Name}: {text}"));
            return (bug.Expected.Any(violation => verdict[violation] > 0), $"{verdict} ({row.Acked} acknowledged)");
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            return (false, exception.Message);
        }
    }
}
