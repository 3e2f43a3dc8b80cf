using System.Globalization;

namespace SecureMessaging.Load;

/// <summary>With <c>--other</c>: the figures of another version as ratios to those of this one, each of two runs of the same round.</summary>
/// <remarks>
/// The geometric mean of the ratios, and its 90% interval by Student's t distribution. If the interval contains 1, the runs show no difference.
/// </remarks>
internal static class Differences
{
    private const string Suffix = ", other";

    /// <summary>The 95th percentile of Student's t, for 1 degree of freedom and more. After these, that of the normal distribution is near enough.</summary>
    private static readonly double[] Percentile95 =
        [6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753, 1.746, 1.740, 1.734, 1.729, 1.725];

    private static readonly (string Name, Func<Row, double?> Of)[] Figures =
    [
        ("msg/s", row => row.MessagesPerSecond),
        ("CPU a delivery", row => row.CpuUsPerDelivery),
        ("p50", row => row.P50Ms),
        ("p99", row => row.P99Ms),
        ("bytes a connection", row => row.BytesPerConnection),
        ("idle CPU", row => row.IdleCpuPercent),
    ];

    public static string OtherName(string subject, int index) => index == 0 ? subject + Suffix : $"{subject}{Suffix} {index + 1}";

    public static bool IsOther(string name, string subject) => name.StartsWith(subject + Suffix, StringComparison.Ordinal);

    public static void Print(string other, IReadOnlyList<Row> others, string subject, IReadOnlyList<Row> own)
    {
        var parts = new List<string>();
        foreach (var (name, of) in Figures)
        {
            var ratios = others.Zip(own, (first, second) => Math.Log(of(first) / of(second) ?? double.NaN)).Where(double.IsFinite).ToList();
            if (ratios.Count > 1)
                parts.Add(Format(name, ratios));
        }

        Progress.Clear();
        Console.WriteLine($"  {other} / {subject}: {string.Join("; ", parts)}");
    }

    private static string Format(string name, List<double> logarithms)
    {
        var mean = logarithms.Average();
        var deviation = Math.Sqrt(logarithms.Sum(value => (value - mean) * (value - mean)) / (logarithms.Count - 1));
        var most = (logarithms.Count - 2 < Percentile95.Length ? Percentile95[logarithms.Count - 2] : 1.645) * deviation / Math.Sqrt(logarithms.Count);
        return string.Create(
            CultureInfo.InvariantCulture, $"{name} {Math.Exp(mean):0.000} ({Math.Exp(mean - most):0.000} to {Math.Exp(mean + most):0.000})");
    }
}
