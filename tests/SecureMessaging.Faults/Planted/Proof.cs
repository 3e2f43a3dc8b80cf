using SecureMessaging.Faults.Checking;
using SecureMessaging.Faults.Injectors;
using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Faults.Planted;

/// <summary>A bug for the checker to find.</summary>
/// <param name="Name">The name that <see cref="PlantedServer"/> takes.</param>
/// <param name="What">One sentence for the list.</param>
/// <param name="Fault">The fault under which it shows.</param>
/// <param name="Expected">The checker must report one of these.</param>
internal sealed record Bug(string Name, string What, string Fault, Violation[] Expected);

/// <summary>Shows that the checker finds violations: first in histories written by hand, then on servers with a planted bug.</summary>
internal static class Proof
{
    private const int Rounds = 4;

    public static IReadOnlyList<Bug> Bugs { get; } =
    [
        new("global-sequence", "seq is drawn from one sequence over all rooms", "calm", [Violation.SeqGap, Violation.CursorSkip]),
        new("ack-before-commit", "the sender is answered before the commit", "node-kill", [Violation.Lost]),
        new("no-deduplication", "a repeated send is stored again", "client-cut", [Violation.Duplicated]),
        new("publish-before-commit", "entries go out before their commit, which may fail", "calm", [Violation.Phantom, Violation.Mismatch]),
        new("delivery-ignores-roster", "room delivery does not apply removals", "roster", [Violation.Leaked]),
        new("delivery-skips-gaps", "room delivery continues after a gap without reading it", "calm", [Violation.Wire]),
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

    /// <summary>
    /// Runs rounds until the checker reports the bug. A bug does damage only when sends meet in a certain way, and on a busy machine few sends fit
    /// into one round, so each round is twice as long as the one before it. A checker that is blind to the bug misses it in every round.
    /// </summary>
    private static async Task<(bool Found, string Text)> JudgeAsync(Options options, Bug bug, Fault fault)
    {
        try
        {
            await using var cluster = await Cluster.StartAsync(new Shape("sqlite", 1, bug.Name));
            for (var round = 0; ; round++)
            {
                var (row, verdict) = await Round.RunAsync(cluster, null, fault, options.Duration * (1 << round), options.IsLong, options.Seed + round,
                    text => Progress.Show($"{bug.Name} under {fault.Name}: {text}"));
                var found = bug.Expected.Any(violation => verdict[violation] > 0);
                if (found || round == Rounds - 1)
                    return (found, $"{verdict} ({row.Acked} acknowledged, round {round + 1})");
            }
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            return (false, exception.Message);
        }
    }
}
