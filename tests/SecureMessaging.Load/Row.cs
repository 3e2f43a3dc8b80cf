using SecureMessaging.Load.Client;
using SecureMessaging.Load.Subjects;

namespace SecureMessaging.Load;

/// <summary>One line of the report. What a mode does not measure is null.</summary>
internal sealed record Row(string Subject, string Mode)
{
    public double? MessagesPerSecond { get; init; }
    public double? DeliveriesPerSecond { get; init; }

    /// <summary>Send to delivery; in the modes storm and replay what their names say.</summary>
    public double? P50Ms { get; init; }
    public double? P99Ms { get; init; }
    public double? P999Ms { get; init; }
    public double? AckP50Ms { get; init; }
    public double? AckP99Ms { get; init; }
    public double? AckP999Ms { get; init; }
    public double? ServerCpuUsPerMessage { get; init; }
    public double? ServerCpuUsPerDelivery { get; init; }
    public double? DatabaseCpuUsPerMessage { get; init; }
    public double? RedisCpuUsPerMessage { get; init; }

    /// <summary>Of all that the subject consists of: servers, database, Redis, nginx.</summary>
    public double? CpuUsPerDelivery { get; init; }
    public double? GeneratorCpuUsPerDelivery { get; init; }
    public double? AllocatedBytesPerMessage { get; init; }
    public double? BytesPerConnection { get; init; }

    /// <summary>Of one core, of an idle server with its connections.</summary>
    public double? IdleCpuPercent { get; init; }

    /// <summary>
    /// Of what the mode is about: messages per second, p99, CPU of server and database per message, bytes per connection, p99 of coming back. The median
    /// of the ratios of each run to the bare hub's run beside it.
    /// </summary>
    public double? RatioToBareHub { get; init; }

    /// <summary>The median of the differences in milliseconds to the bare hub's run beside each run. Only of pairs in which the bare hub was calm.</summary>
    public double? P50OverBareHubMs { get; init; }
    public double? P99OverBareHubMs { get; init; }

    /// <summary>Pairs that the differences are the median of.</summary>
    public int? CalmPairs { get; init; }

    /// <summary>Processors that other programs kept busy meanwhile.</summary>
    public double? OtherCores { get; init; }
    public double? RatioToStoreLimit { get; init; }

    /// <summary>Sends refused, and deliveries that never came.</summary>
    public long Failed { get; init; }

    public double? CpuPerMessage => ServerCpuUsPerMessage + (DatabaseCpuUsPerMessage ?? 0) + (RedisCpuUsPerMessage ?? 0);

    /// <summary>From what was seen and used in a stretch of time.</summary>
    public static Row Of(string subject, string mode, Tally tally, Meter used, TimeSpan time)
    {
        var acked = Math.Max(1, tally.Acked);
        var deliveries = Math.Max(1, tally.Deliveries);
        return new Row(subject, mode)
        {
            MessagesPerSecond = tally.Acked / time.TotalSeconds,
            DeliveriesPerSecond = tally.Deliveries / time.TotalSeconds,
            P50Ms = tally.Delivery.Percentile(0.5),
            P99Ms = tally.Delivery.Percentile(0.99),
            P999Ms = tally.Delivery.Percentile(0.999),
            AckP50Ms = tally.Ack.Percentile(0.5),
            AckP99Ms = tally.Ack.Percentile(0.99),
            AckP999Ms = tally.Ack.Percentile(0.999),
            ServerCpuUsPerMessage = used.ServerCpu / acked,
            ServerCpuUsPerDelivery = used.ServerCpu / deliveries,
            DatabaseCpuUsPerMessage = used.DatabaseCpu / acked,
            RedisCpuUsPerMessage = used.OtherCpu / acked,
            CpuUsPerDelivery = (used.ServerCpu + used.DatabaseCpu + used.OtherCpu) / deliveries,
            GeneratorCpuUsPerDelivery = used.GeneratorCpu / deliveries,
            AllocatedBytesPerMessage = used.Allocated / acked,
            Failed = tally.Failed,
        };
    }

    /// <summary>The run in the middle by what the mode is about.</summary>
    public static Row Median(IEnumerable<Row> runs, Func<Row, double?> by)
    {
        var sorted = runs.OrderBy(by).ToList();
        return sorted[sorted.Count / 2] with { Failed = sorted.Sum(row => row.Failed) };
    }
}
