using System.Globalization;
using System.Text.RegularExpressions;

namespace SecureMessaging.Load;

/// <summary>Histograms of a server's metrics page: how long sends were in each stage between two readings.</summary>
internal sealed partial class Trace
{
    private readonly Dictionary<string, SortedDictionary<double, double>> buckets = [];

    public static Trace Read(string page)
    {
        var trace = new Trace();
        foreach (Match match in Bucket().Matches(page))
        {
            var stage = Stage().Match(match.Groups["labels"].Value) is { Success: true } named ? named.Groups["stage"].Value : "append";
            if (!trace.buckets.TryGetValue(stage, out var counts))
                trace.buckets.Add(stage, counts = []);
            var bound = Bound().Match(match.Groups["labels"].Value).Groups["bound"].Value;
            counts[bound == "+Inf" ? double.PositiveInfinity : double.Parse(bound, CultureInfo.InvariantCulture)] =
                double.Parse(match.Groups["count"].Value, CultureInfo.InvariantCulture);
        }

        return trace;
    }

    /// <summary>Stage, how often it was passed, and the median and 99th percentile in microseconds.</summary>
    public IEnumerable<(string Stage, double Count, double P50, double P99)> Since(Trace earlier)
    {
        foreach (var (stage, counts) in buckets)
        {
            var before = earlier.buckets.GetValueOrDefault(stage);
            var passed = counts.Select(pair => (Bound: pair.Key, Count: pair.Value - (before?.GetValueOrDefault(pair.Key) ?? 0))).ToList();
            yield return (stage, passed[^1].Count, Percentile(passed, 0.5), Percentile(passed, 0.99));
        }
    }

    private static double Percentile(List<(double Bound, double Count)> cumulative, double fraction)
    {
        var rank = cumulative[^1].Count * fraction;
        var (lower, below) = (0.0, 0.0);
        foreach (var (bound, count) in cumulative)
        {
            if (count >= rank && count > below)
                return (double.IsInfinity(bound) ? lower : lower + ((bound - lower) * (rank - below) / (count - below))) * 1_000_000;
            (lower, below) = (bound, count);
        }

        return double.NaN;
    }

    [GeneratedRegex(
        @"^securemessaging_(append|send_stage)_duration_seconds_bucket\{(?<labels>[^}]*)\} (?<count>\S+)",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Bucket();

    [GeneratedRegex("stage=\"(?<stage>[^\"]+)\"", RegexOptions.ExplicitCapture)]
    private static partial Regex Stage();

    [GeneratedRegex("le=\"(?<bound>[^\"]+)\"", RegexOptions.ExplicitCapture)]
    private static partial Regex Bound();
}
