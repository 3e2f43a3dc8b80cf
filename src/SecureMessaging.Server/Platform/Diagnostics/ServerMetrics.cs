using System.Diagnostics.Metrics;

namespace SecureMessaging.Server.Platform.Diagnostics;

/// <summary>The server's metrics. Labels name outcomes and kinds, never people, rooms or addresses.</summary>
/// <remarks>Metrics of each envelope are plain numbers that a scrape reads, or are recorded once per batch.</remarks>
internal sealed class ServerMetrics
{
    public const string MeterName = "SecureMessaging";

    private static readonly KeyValuePair<string, object?>[] Outcomes =
        [.. Enum.GetNames<SendOutcome>().Select(name => new KeyValuePair<string, object?>("outcome", name.ToLowerInvariant()))];

    private static readonly KeyValuePair<string, object?>[] Stages =
        [.. Enum.GetNames<SendStage>().Select(name => new KeyValuePair<string, object?>("stage", name.ToLowerInvariant()))];

    // From 20 µs to 1.7 s, each 1.4 times the one before.
    private static readonly double[] Durations = [.. Enumerable.Range(0, 35).Select(i => Math.Round(0.00002 * Math.Pow(1.4, i), 6))];

    private readonly Counter<long> sends;
    private long queued;
    private long deliveries;
    private readonly Histogram<int> batch;
    private readonly Histogram<double> append;
    private readonly Histogram<double> stages;
    private readonly Counter<long> gaps;
    private readonly Counter<long> resyncs;
    private readonly Counter<long> hubFailures;
    private readonly UpDownCounter<long> connections;
    private readonly Counter<long> purged;
    private readonly Counter<long> commits;
    private readonly Counter<long> pushes;

    public ServerMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        sends = meter.CreateCounter<long>("securemessaging.sends", "{envelope}", "Envelopes by outcome: stored, duplicate, refused, failed, overloaded.");
        meter.CreateObservableUpDownCounter(
            "securemessaging.send.queue", () => Interlocked.Read(ref queued), "{envelope}", "Envelopes that wait for their commit.");
        batch = meter.CreateHistogram<int>(
            "securemessaging.append.batch", "{envelope}", "Envelopes of one commit.", null,
            new() { HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] });
        append = meter.CreateHistogram<double>(
            "securemessaging.append.duration", "s", "From the first statement of a batch to its commit.", null,
            new() { HistogramBucketBoundaries = Durations });
        stages = meter.CreateHistogram<double>(
            "securemessaging.send.stage.duration", "s",
            "Times of sends around their commit, by stage: queue (each call, until its batch begins), handover (each batch, from its commit until its acks "
            + "and entries begin to leave), delivery (each batch, until they have left).",
            null,
            new() { HistogramBucketBoundaries = Durations });
        meter.CreateObservableCounter("securemessaging.tail.deliveries", () => Interlocked.Read(ref deliveries), "{entry}", "Entries written to connections.");
        gaps = meter.CreateCounter<long>("securemessaging.tail.gaps", "{gap}", "Gaps that room delivery filled from the database.");
        resyncs = meter.CreateCounter<long>(
            "securemessaging.tail.resyncs", "{resync}", "Times that a connection was too slow, dropped entries, and had to read the log.");
        hubFailures = meter.CreateCounter<long>(
            "securemessaging.hub.failures", "{connection}",
            "Hub connections that were closed because a write to them failed, by kind: write, message.");
        connections = meter.CreateUpDownCounter<long>(
            "securemessaging.connections", "{connection}", "Open connections that entries are pushed to: hub connections and GraphQL sockets.");
        purged = meter.CreateCounter<long>(
            "securemessaging.retention.purged", "{row}",
            "Rows that retention removed or emptied, by kind: session, token, expired, cut, keyPackage, welcome, device.");
        commits = meter.CreateCounter<long>("securemessaging.commits", "{commit}", "MLS commits by outcome: won, lost, duplicate, refused.");
        pushes = meter.CreateCounter<long>("securemessaging.pushes", "{push}", "Web pushes by outcome: taken, gone, refused, failed, dropped.");
    }

    public void Sent(SendOutcome outcome, int count = 1)
    {
        if (count > 0)
            sends.Add(count, Outcomes[(int)outcome]);
    }

    public void Committed(string outcome) => commits.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    public void Pushed(string outcome) => pushes.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    public void Queued(int change) => Interlocked.Add(ref queued, change);

    public void Appended(int envelopes, TimeSpan duration)
    {
        batch.Record(envelopes);
        append.Record(duration.TotalSeconds);
    }

    public void Passed(SendStage stage, TimeSpan duration) => stages.Record(duration.TotalSeconds, Stages[(int)stage]);

    public void Delivered(int entries) => Interlocked.Add(ref deliveries, entries);

    public void GapFilled() => gaps.Add(1);

    public void Resynced() => resyncs.Add(1);

    public void HubFailed(string kind) => hubFailures.Add(1, new KeyValuePair<string, object?>("kind", kind));

    public void ConnectionOpened() => connections.Add(1);

    public void ConnectionClosed() => connections.Add(-1);

    public void Purged(string kind, int count)
    {
        if (count > 0)
            purged.Add(count, new KeyValuePair<string, object?>("kind", kind));
    }
}

/// <summary>What a send waits for, apart from its commit.</summary>
internal enum SendStage
{
    Queue,
    Handover,
    Delivery,
}

/// <summary>The outcome of an envelope, as operators count it.</summary>
internal enum SendOutcome
{
    Stored,
    Duplicate,
    Refused,
    Failed,
    Overloaded,
}
