using SecureMessaging.Load.Subjects;

namespace SecureMessaging.Load;

/// <summary>
/// Runs one measurement of all subjects in turn, several times over, and reports each subject's median run with the medians of its ratios and
/// differences to the bare hub's run of the same round. So what else the machine does falls on all of them.
/// </summary>
/// <param name="runs">How many rounds.</param>
/// <param name="mostOtherCores">A run during which other programs kept more processors busy is thrown away and repeated.</param>
internal sealed class Pairs(int runs, double mostOtherCores)
{
    public const string BareHub = "bare";

    /// <summary>The differences of latency are of rounds in which the bare hub's own p99 was below this, in milliseconds.</summary>
    private const double CalmP99Ms = 10;

    private const int MostRepeats = 10;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);

    /// <param name="subjects">The subjects, the bare hub first.</param>
    /// <param name="what">The name of the measurement.</param>
    /// <param name="measure">One run.</param>
    /// <param name="by">What the measurement is about.</param>
    /// <param name="once">One round, for measurements that take long and vary little.</param>
    public async Task<IReadOnlyList<Row>> MeasureAsync(
        IEnumerable<Subject> subjects, string what, Func<Subject, Task<Row>> measure, Func<Row, double?> by, bool once = false)
    {
        var measured = subjects.ToDictionary(subject => subject, _ => new List<Row>());
        for (var run = 1; run <= (once ? 1 : runs); run++)
        {
            foreach (var (subject, rows) in measured)
            {
                Progress.Show($"{what}: {subject.Name}, run {run}");
                rows.Add(await MeasureQuietlyAsync(subject, measure));
            }
        }

        foreach (var (other, rows) in measured)
        {
            foreach (var (subject, own) in measured.Where(pair => Differences.IsOther(other.Name, pair.Key.Name)))
                Differences.Print(other.Name, rows, subject.Name, own);
        }

        var bare = measured.FirstOrDefault(pair => pair.Key.Name == BareHub).Value;
        return [.. measured.Values.Select(rows => Summarise(rows, bare, by))];
    }

    private async Task<Row> MeasureQuietlyAsync(Subject subject, Func<Subject, Task<Row>> measure)
    {
        for (var repeats = 0; ; repeats++)
        {
            var row = await measure(subject);
            if (row.OtherCores is null || row.OtherCores <= mostOtherCores)
                return row;
            if (repeats == MostRepeats)
                throw new InvalidOperationException($"Other programs keep {row.OtherCores:0.00} processors busy. Stop them, or allow them with --others.");
            Progress.Show($"other programs kept {row.OtherCores:0.00} processors busy; repeating {subject.Name}");
            await Task.Delay(Pause);
        }
    }

    private static Row Summarise(List<Row> rows, List<Row>? bare, Func<Row, double?> by)
    {
        var median = Row.Median(rows, by);
        if (bare is null)
            return median;
        var pairs = rows.Zip(bare).ToList();
        var calm = pairs.Where(pair => pair.Second.P99Ms < CalmP99Ms).ToList();
        return median with
        {
            RatioToBareHub = Middle(pairs.Select(pair => by(pair.First) / by(pair.Second))),
            P50OverBareHubMs = Middle(calm.Select(pair => pair.First.P50Ms - pair.Second.P50Ms)),
            P99OverBareHubMs = Middle(calm.Select(pair => pair.First.P99Ms - pair.Second.P99Ms)),
            CalmPairs = calm.Count,
        };
    }

    private static double? Middle(IEnumerable<double?> values)
    {
        var sorted = values.Where(value => value is not null && double.IsFinite(value.Value)).Order().ToList();
        return sorted.Count == 0 ? null : (sorted[(sorted.Count - 1) / 2] + sorted[sorted.Count / 2]) / 2;
    }
}
