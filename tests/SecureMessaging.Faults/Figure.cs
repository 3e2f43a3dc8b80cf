using System.Globalization;

namespace SecureMessaging.Faults;

/// <summary>Something a fault measures beside the table's columns.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Value">How much.</param>
/// <param name="Unit">Of what.</param>
/// <param name="Bound">What is promised at most. Asserted in long runs only: a short round on a busy machine measures the machine.</param>
internal sealed record Figure(string Name, double Value, string Unit, double? Bound = null)
{
    public bool Missed => Value > Bound;

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{Name} {Value:0.##} {Unit}{(Bound is { } bound ? $"{(Missed ? " >" : " ≤")} {bound:0.##}" : "")}");
}

/// <summary>Percentiles as the whole report counts them.</summary>
internal static class Percentile
{
    /// <summary>In milliseconds; null when there are no times.</summary>
    public static double? Of(List<TimeSpan> times, double share)
    {
        if (times.Count == 0)
            return null;
        times.Sort();
        return Math.Round(times[Math.Min(times.Count - 1, (int)(times.Count * share))].TotalMilliseconds, 1);
    }
}
