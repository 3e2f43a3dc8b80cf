using System.Numerics;

namespace SecureMessaging.Load.Client;

/// <summary>Latencies in microseconds, in buckets that are at most 1/64 wide. Written by one thread.</summary>
internal sealed class Histogram
{
    private const int SubBits = 6;
    private const int Sub = 1 << SubBits;
    private readonly long[] counts = new long[(64 - SubBits) * Sub];

    public long Count { get; private set; }

    public void Record(long microseconds)
    {
        counts[Index(Math.Max(0, microseconds))]++;
        Count++;
    }

    public void Clear()
    {
        Array.Clear(counts);
        Count = 0;
    }

    /// <summary>In milliseconds; NaN while there is nothing.</summary>
    public double Percentile(double fraction)
    {
        var rank = Math.Max(1, (long)Math.Ceiling(Count * fraction));
        for (var (i, seen) = (0, 0L); i < counts.Length; i++)
        {
            seen += counts[i];
            if (seen >= rank)
                return Value(i) / 1000.0;
        }

        return double.NaN;
    }

    private static int Index(long value)
    {
        if (value < Sub)
            return (int)value;
        var shift = 63 - BitOperations.LeadingZeroCount((ulong)value) - SubBits;
        return ((shift + 1) << SubBits) + (int)((value >> shift) - Sub);
    }

    private static long Value(int index)
    {
        var shift = (index >> SubBits) - 1;
        return shift < 0 ? index : ((long)(index & (Sub - 1)) + Sub) << shift;
    }
}
