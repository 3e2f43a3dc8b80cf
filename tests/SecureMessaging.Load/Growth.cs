using SecureMessaging.Faults.Processes;
using SecureMessaging.Load.Client;
using SecureMessaging.Load.Subjects;

namespace SecureMessaging.Load;

/// <summary>What a message costs as one thing grows and all else stays: each point is a server and a database of its own on the same Postgres.</summary>
internal static class Growth
{
    private const int Senders = 100;
    private const int Small = 10;

    public static async Task<int> RunAsync(Options options)
    {
        var directory = Scratch.Create("sm-load-");
        var postgres = new PostgresInstance(Path.Combine(directory, "postgres"));
        await postgres.InitializeAsync();
        await postgres.StartAsync();
        var certificate = Certificate.Create(directory);
        var rows = new List<Row>();
        Console.WriteLine(Report.Heading);
        foreach (var rooms in Steps(options, 10, 1000, 100_000))
            await PointAsync($"{rooms} rooms", new Population(Senders, [Small], 0) { OtherRooms = rooms }, Senders, Small);
        foreach (var members in Steps(options, 2, 10, 100, 1000))
            await PointAsync($"{members} members", new Population(Math.Max(Senders, members), [members], 0), Math.Max(Senders, members), members);
        foreach (var history in options.Quick ? new[] { 10_000, 100_000 } : [1_000_000, 5_000_000, 20_000_000])
            await PointAsync($"{history} entries", new Population(Senders, [Small], history), Senders, Small);
        foreach (var connections in Steps(options, 100, 1000, 10_000))
            await PointAsync($"{connections} connections", new Population(connections, [Small], 0), connections, Small);
        if (options.Json is not null)
            await Report.WriteJsonAsync(options.Json, rows);
        await postgres.DisposeAsync();
        Scratch.Delete(directory);
        return rows.Sum(row => row.Failed) == 0 ? 0 : 1;

        async Task PointAsync(string mode, Population population, int connections, int roomSize)
        {
            Progress.Show(mode);
            await using var subject = new ServerSubject("Postgres", Path.Combine(directory, Guid.NewGuid().ToString("N")), certificate, postgres, null,
                1)
            { Population = population };
            await subject.StartAsync();
            using var swarm = new Swarm(options.Seed);
            await swarm.ConnectAsync(subject.Seats(connections, roomSize), json: false, options.Payload, CancellationToken.None);
            var runs = new List<Row>();
            for (var run = 0; run < options.Runs; run++)
                runs.Add(await Measure.ThroughputAsync(subject, swarm, mode, roomSize, Senders, options.Duration));
            rows.Add(Row.Median(runs, row => row.CpuPerMessage));
            Progress.Clear();
            Console.WriteLine(Report.Format(rows[^1]));
        }
    }

    private static int[] Steps(Options options, params int[] steps) => options.Quick ? steps[..2] : steps;
}
