using System.Diagnostics;
using Npgsql;

namespace SecureMessaging.Faults.Injectors;

/// <summary>
/// Another transaction keeps one room locked for a second, again and again, as a large change of its members might. Two of eight clients send to it, the others
/// to other rooms. Before each lock is a calm time of the same length, so that one machine in one state is compared with itself.
/// </summary>
internal static class BusyRoom
{
    private const int Pairs = 5;

    /// <summary>Others wait at most this much longer, or as many milliseconds, which is below what two processors can tell apart under full load.</summary>
    private const double Slowdown = 2;
    private const double FloorMs = 20;

    public static async Task LockAsync(Injection on)
    {
        await Injection.WaitAsync(1);
        var spans = new List<(long Calm, long Locked, long End)>();
        await using var connection = new NpgsqlConnection(on.Cluster.PostgresConnectionString);
        await connection.OpenAsync();
        for (var pair = 0; pair < Pairs; pair++)
        {
            var calm = Stopwatch.GetTimestamp();
            await Injection.WaitAsync(1);
            await using var transaction = await connection.BeginTransactionAsync();
            await using var command = new NpgsqlCommand("select 1 from rooms where id = $1 for update", connection, transaction)
            {
                Parameters = { new NpgsqlParameter<Guid> { TypedValue = on.Load.BusyRoom } },
            };
            await command.ExecuteNonQueryAsync();
            var locked = Stopwatch.GetTimestamp();
            await Injection.WaitAsync(1);
            spans.Add((calm, locked, Stopwatch.GetTimestamp()));
            await transaction.RollbackAsync();
            on.Recovering();
            await Injection.WaitAsync(0.3);
        }

        on.Afterwards = () => Compare(on, spans);
    }

    private static void Compare(Injection on, List<(long Calm, long Locked, long End)> spans)
    {
        var before = Median(spans.Select(span => Percentile.Of(on.Load.AckTimesOfOthers(span.Calm, span.Locked), 0.99)));
        var during = Median(spans.Select(span => Percentile.Of(on.Load.AckTimesOfOthers(span.Locked, span.End), 0.99)));
        if (before is null || during is null)
        {
            on.Complaints.Add("the others acknowledged nothing while the room was locked");
            return;
        }

        on.Measure("others' ack p99 before, median of 5", before.Value, "ms");
        on.Measure("during", during.Value, "ms", Math.Round(Math.Max(before.Value * Slowdown, before.Value + FloorMs), 1));
    }

    /// <summary>Null when one of them is missing.</summary>
    private static double? Median(IEnumerable<double?> values)
    {
        var sorted = values.Order().ToList();
        return sorted.Contains(null) ? null : sorted[sorted.Count / 2];
    }
}
