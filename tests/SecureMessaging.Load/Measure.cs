using System.Diagnostics;
using SecureMessaging.Load.Client;
using SecureMessaging.Load.Subjects;

namespace SecureMessaging.Load;

/// <summary>The measurements, each of one subject.</summary>
internal static class Measure
{
    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(250);
    private const int StormAtOnce = 512;

    /// <summary>Closed loop: so many clients, each with one send on its way at any time.</summary>
    public static async Task<Row> ThroughputAsync(Subject subject, Swarm swarm, string mode, int roomSize, int senders, TimeSpan duration)
    {
        swarm.StartClosedLoop(swarm.Connections.Take(senders));
        await Task.Delay(WarmUp);
        var row = await WatchAsync(subject, swarm, mode, duration);
        await swarm.StopAsync();
        return row with { Failed = row.Failed + await MissingAsync(swarm, subject.ReceiversIn(roomSize)) };
    }

    /// <summary>Open loop: sends at moments fixed beforehand, from which the latency counts, whether the server keeps up or not.</summary>
    public static async Task<Row> OpenLoopAsync(
        Subject subject, Swarm swarm, string mode, int roomSize, double rate, TimeSpan duration, TimeSpan? warmUp = null)
    {
        using var stop = new CancellationTokenSource();
        var pacing = new Thread(() => Pace(swarm, rate, stop.Token)) { IsBackground = true, Priority = ThreadPriority.AboveNormal };
        pacing.Start();
        if (warmUp != TimeSpan.Zero)
            await Task.Delay(warmUp ?? WarmUp);
        var row = await WatchAsync(subject, swarm, mode, duration);
        await stop.CancelAsync();
        pacing.Join();
        await swarm.StopAsync();
        return row with { Failed = row.Failed + await MissingAsync(swarm, subject.ReceiversIn(roomSize)) };
    }

    /// <summary>Connections that do nothing: what they weigh, and what their pings cost.</summary>
    public static async Task<Row> IdleAsync(Subject subject, int connections, int roomSize, TimeSpan duration, int seed)
    {
        // Code and buffers that the first connections load belong to no single connection.
        using (var first = new Swarm(seed))
        {
            await first.ConnectAsync([.. subject.Seats(200, roomSize)], json: false, payloadBytes: 64, CancellationToken.None);
            await Task.Delay(300);
        }

        await Task.Delay(1000);
        var empty = subject.ServerBytes();
        using var swarm = new Swarm(seed);
        await swarm.ConnectAsync(subject.Seats(connections, roomSize), json: false, payloadBytes: 64, CancellationToken.None);
        await Task.Delay(TimeSpan.FromSeconds(1));
        var before = await subject.ReadAsync();
        await Task.Delay(duration);
        var used = await subject.ReadAsync() - before;
        return new Row(subject.Name, $"{connections} idle")
        {
            BytesPerConnection = (subject.ServerBytes() - empty) / (double)connections,
            IdleCpuPercent = (used.ServerCpu + used.DatabaseCpu) / duration.TotalMicroseconds * 100,
            Failed = swarm.LostConnections,
        };
    }

    /// <summary>All clients lose their sockets at one moment and come back at once: how long until each is connected and has its first answer.</summary>
    public static async Task<Row> StormAsync(Subject subject, int connections, int roomSize, int seed)
    {
        var seats = subject.Seats(connections, roomSize);
        using (var before = new Swarm(seed))
            await before.ConnectAsync(seats, json: false, payloadBytes: 64, CancellationToken.None);
        using var swarm = new Swarm(seed);
        var histogram = new Histogram();
        var start = Swarm.Now;
        var usedBefore = await subject.ReadAsync();
        await Parallel.ForEachAsync(seats, new ParallelOptions { MaxDegreeOfParallelism = StormAtOnce }, async (seat, cancellationToken) =>
        {
            var connection = await swarm.ConnectAsync(seat, cancellationToken);
            await connection.CallAsync("Heads", cancellationToken);
            lock (histogram)
                histogram.Record(Swarm.Now - start);
        });
        var used = await subject.ReadAsync() - usedBefore;
        return new Row(subject.Name, $"{connections} come back")
        {
            P50Ms = histogram.Percentile(0.5),
            P99Ms = histogram.Percentile(0.99),
            ServerCpuUsPerMessage = used.ServerCpu / connections,
            DatabaseCpuUsPerMessage = used.DatabaseCpu / connections,
        };
    }

    /// <summary>One client reads a whole log, page by page.</summary>
    public static async Task<Row> ReplayAsync(ServerSubject subject, int entries, int seed)
    {
        const int page = 500;
        using var swarm = new Swarm(seed);
        var connection = await swarm.ConnectAsync(subject.HistorySeat(), CancellationToken.None);
        var pages = new Histogram();
        var before = await subject.ReadAsync();
        var watch = Stopwatch.StartNew();
        for (var after = 0L; after < entries; after += page)
        {
            var start = Swarm.Now;
            await connection.CallAsync("Sync", CancellationToken.None, Seed.HistoryRoom.ToString(), after, (long)page);
            pages.Record(Swarm.Now - start);
        }

        var time = watch.Elapsed;
        var used = await subject.ReadAsync() - before;
        return new Row(subject.Name, $"replay of {entries}")
        {
            DeliveriesPerSecond = entries / time.TotalSeconds,
            P50Ms = pages.Percentile(0.5),
            P99Ms = pages.Percentile(0.99),
            ServerCpuUsPerDelivery = used.ServerCpu / entries,
            // Every page holds all of its entries, or there would be fewer bytes.
            Failed = swarm.Tally.Bytes >= (long)entries * Seed.HistoryBytes ? 0 : 1,
        };
    }

    private static async Task<Row> WatchAsync(Subject subject, Swarm swarm, string mode, TimeSpan duration)
    {
        var others = Usage.OfOthers();
        var before = await subject.ReadAsync();
        var tally = swarm.Restart();
        var watch = Stopwatch.StartNew();
        await Task.Delay(duration);
        var used = await subject.ReadAsync() - before;
        var time = watch.Elapsed;
        swarm.Restart();
        return Row.Of(subject.Name, mode, tally, used, time) with { OtherCores = (Usage.OfOthers() - others) / time.TotalMicroseconds };
    }

    /// <summary>Every receiver must have received each acknowledged message.</summary>
    private static async Task<long> MissingAsync(Swarm swarm, int receivers)
    {
        for (var i = 0; i < 50 && swarm.TotalDeliveries < swarm.TotalAcked * receivers; i++)
            await Task.Delay(100);
        var missing = Math.Max(0, (swarm.TotalAcked * receivers) - swarm.TotalDeliveries) + swarm.LostConnections;
        swarm.Forget();
        return missing;
    }

    private static void Pace(Swarm swarm, double rate, CancellationToken stop)
    {
        var random = new Random(1);
        var start = Swarm.Now;
        for (var sent = 0L; !stop.IsCancellationRequested;)
        {
            var due = start + (long)(sent * 1_000_000.0 / rate);
            if (due > Swarm.Now)
            {
                stop.WaitHandle.WaitOne(1);
                continue;
            }

            swarm.Send(swarm.Connections[random.Next(swarm.Connections.Count)], due);
            sent++;
        }
    }
}
