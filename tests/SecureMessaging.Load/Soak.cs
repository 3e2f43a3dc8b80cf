using SecureMessaging.Faults.Processes;
using SecureMessaging.Load.Client;
using SecureMessaging.Load.Subjects;

namespace SecureMessaging.Load;

/// <summary>One rate for a long time: memory and latency must stay where they were.</summary>
internal static class Soak
{
    private const int RoomSize = 10;
    private const int DefaultRate = 1000;
    private static readonly TimeSpan Step = TimeSpan.FromSeconds(30);

    public static async Task<int> RunAsync(Options options)
    {
        var rate = options.Rate ?? DefaultRate;
        var directory = Scratch.Create("sm-load-");
        await using var postgres = new PostgresInstance(Path.Combine(directory, "postgres"));
        await postgres.InitializeAsync();
        await postgres.StartAsync();
        await using var subject = new ServerSubject("Postgres", Path.Combine(directory, "one"), Certificate.Create(directory), postgres, null,
            1)
        { Population = new(options.Connections, [RoomSize], 0) };
        await subject.StartAsync();
        using var swarm = new Swarm(options.Seed);
        await swarm.ConnectAsync(subject.Seats(options.Connections, RoomSize), json: false, options.Payload, CancellationToken.None);
        Console.WriteLine($"{rate} messages/s for {options.Minutes} min, {options.Connections} clients in rooms of {RoomSize}, seed {options.Seed}");
        var rows = new List<Row>();
        var failed = 0L;
        for (var elapsed = TimeSpan.Zero; elapsed < TimeSpan.FromMinutes(options.Minutes); elapsed += Step)
        {
            var row = await Measure.OpenLoopAsync(subject, swarm, $"after {elapsed + Step:hh\\:mm\\:ss}", RoomSize, rate, Step);
            failed += row.Failed;
            rows.Add(row);
            Console.WriteLine($"{row.Mode}  {row.MessagesPerSecond,8:N0} msg/s  p50 {row.P50Ms,6:N2} ms  p99 {row.P99Ms,7:N2} ms  "
                + $"server {subject.ServerBytes() / 1048576.0,7:N0} MiB  failed {row.Failed}");
        }

        if (options.Json is not null)
            await Report.WriteJsonAsync(options.Json, rows);
        swarm.Dispose();
        await subject.DisposeAsync();
        await postgres.DisposeAsync();
        Scratch.Delete(directory);
        return failed == 0 ? 0 : 1;
    }
}
