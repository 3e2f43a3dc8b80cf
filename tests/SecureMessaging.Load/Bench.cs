using SecureMessaging.Faults.Processes;
using SecureMessaging.Load.Client;
using SecureMessaging.Load.Subjects;

namespace SecureMessaging.Load;

/// <summary>
/// Everything side by side in one run: all subjects are up at the same time, and each measurement is taken of one after the other, so many times over,
/// so that whatever else the machine does falls on all of them. The run in the middle counts.
/// </summary>
internal sealed class Bench(Options options) : IAsyncDisposable
{
    private const int LowRate = 200;
    private static readonly int[] RoomSizes = [10, 100, 1000];
    private static readonly double[] LoadSteps = [0.1, 0.25, 0.4, 0.55, 0.7, 0.85];

    private readonly string directory = Scratch.Create("sm-load-");
    private readonly List<Subject> subjects = [];
    private readonly List<Row> rows = [];
    private readonly List<Row> curve = [];
    private PostgresInstance? postgres;
    private RedisInstance? redis;

    public async Task<int> RunAsync()
    {
        Console.WriteLine($"seed {options.Seed}, {options.Payload}-byte envelopes, {options.Runs} runs of {options.Duration.TotalSeconds:0.#} s, fsync on");
        await StartAsync();
        Console.WriteLine(Report.Heading);
        if (options.Wants("idle"))
            await EachAsync("idle", subject => Measure.IdleAsync(subject, IdleConnections, 10, IdleTime, options.Seed), row => row.BytesPerConnection, runs: 1);
        if (options.Wants("store"))
            await StoreAsync();
        foreach (var size in RoomSizes.Where(size => size <= options.Connections))
            await RoomsAsync(size);
        if (options.Wants("json"))
            await JsonAsync();
        if (options.Wants("storm"))
            await EachAsync("storm", subject => Measure.StormAsync(subject, options.Connections, 10, options.Seed), row => row.P99Ms, runs: 1);
        if (options.Wants("replay"))
            await EachAsync("replay", subject => Measure.ReplayAsync((ServerSubject)subject, History, options.Seed), row => row.DeliveriesPerSecond,
                runs: 1, servers: true);
        if (options.Json is not null)
            await Report.WriteJsonAsync(options.Json, [.. rows, .. curve]);
        if (options.Svg is not null)
            await Plot.WriteAsync(options.Svg, curve);
        var failed = rows.Concat(curve).Sum(row => row.Failed);
        Console.WriteLine($"lost, refused or undelivered: {failed}");
        return failed == 0 ? 0 : 1;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var subject in subjects)
            await subject.DisposeAsync();
        if (redis is not null)
            await redis.DisposeAsync();
        if (postgres is not null)
            await postgres.DisposeAsync();
        Scratch.Delete(directory);
    }

    private int IdleConnections => options.Quick ? 1000 : 10_000;

    private TimeSpan IdleTime => TimeSpan.FromSeconds(options.Quick ? 1 : 20);

    private TimeSpan WarmUp => TimeSpan.FromSeconds(options.Quick ? 5 : 60);

    private int History => options.Quick ? 20_000 : 1_000_000;

    private async Task StartAsync()
    {
        Progress.Show("starting Postgres, Redis and the servers");
        var population = new Population(Math.Max(options.Connections, options.Wants("idle") ? IdleConnections : 0), RoomSizes, options.Wants("replay")
            ? History : 0);
        if (options.WantsSubject("postgres") || options.WantsSubject("cluster"))
        {
            postgres = new PostgresInstance(Path.Combine(directory, "postgres"));
            await postgres.InitializeAsync();
            await postgres.StartAsync();
        }

        if (options.WantsSubject("bare"))
            subjects.Add(new BareHubSubject());
        if (options.WantsSubject("postgres"))
            AddServer("Postgres", "one", postgres, population);
        if (options.WantsSubject("sqlite"))
            AddServer("SQLite", "embedded", null, population);
        if (options.WantsSubject("cluster"))
        {
            redis = new RedisInstance(directory);
            await redis.StartAsync();
            subjects.Add(new ServerSubject("two nodes, Redis", Path.Combine(directory, "two"), postgres, redis, 2) { Population = population });
        }

        foreach (var subject in subjects)
        {
            Progress.Show($"starting {subject.Name}");
            await subject.StartAsync();
        }
    }

    private void AddServer(string name, string data, PostgresInstance? database, Population population)
    {
        subjects.Add(new ServerSubject(name, Path.Combine(directory, data), database, null, 1) { Population = population });
        if (options.Other is not null)
            subjects.Add(new ServerSubject($"{name}, other", Path.Combine(directory, $"{data}-other"), database, null, 1)
            { Population = population, Assembly = options.Other });
    }

    private async Task RoomsAsync(int size)
    {
        if (!options.Wants("throughput") && !options.Wants("latency") && !options.Wants("cpu"))
            return;
        using var swarms = await SwarmsAsync(size, json: false);
        // What runs seldom is compiled in haste; measured is what stays once everything has been compiled well.
        if (size == RoomSizes[0])
            await WarmUpAsync(swarms, size);
        // In big rooms a few senders keep every server busy; more would only queue.
        var senders = size < 1000 ? options.Connections : Math.Min(200, options.Connections);
        var throughput = await EachAsync(
            $"rooms of {size}", subject => Measure.ThroughputAsync(subject, swarms[subject], $"rooms of {size}", size, senders, options.Duration),
                row => row.DeliveriesPerSecond,
            show: options.Wants("throughput"));
        if (size != RoomSizes[0])
            return;
        if (options.Wants("latency") && (throughput.GetValueOrDefault("bare hub") ?? throughput.Values.FirstOrDefault())?.MessagesPerSecond is { } most)
        {
            var quarter = options.Rate ?? Math.Round(most / 4);
            await EachAsync(
                "latency", subject => Measure.OpenLoopAsync(subject, swarms[subject], $"open loop {quarter:0}/s", size, quarter, options.Duration),
                    row => row.P99Ms);
            if (options.Svg is not null)
                await CurveAsync(swarms, size, throughput);
        }

        if (options.Wants("cpu"))
        {
            await EachAsync(
                "cpu", subject => Measure.OpenLoopAsync(subject, swarms[subject], $"open loop {LowRate}/s", size, LowRate, options.Quick
                    ? options.Duration : options.Duration * 2), row => row.CpuPerMessage);
        }
    }

    /// <summary>
    /// All at once, because it is their compilers that need the time. Then the database, so that what it does only while it is young is over, and again what it
    /// does for the first writes after a checkpoint: to log whole pages.
    /// </summary>
    private async Task WarmUpAsync(Swarms swarms, int size)
    {
        Progress.Show("warming up");
        await RunAsync(WarmUp);
        if (postgres is null)
            return;
        await postgres.AgeAsync();
        await RunAsync(WarmUp / 4);

        Task RunAsync(TimeSpan time) =>
            Task.WhenAll(subjects.Select(subject => Measure.ThroughputAsync(subject, swarms[subject], "warm-up", size, options.Connections, time)));
    }

    private async Task CurveAsync(Swarms swarms, int size, Dictionary<string, Row> throughput)
    {
        foreach (var step in LoadSteps)
        {
            foreach (var subject in subjects)
            {
                Progress.Show($"latency over load: {subject.Name} at {step:P0}");
                var rate = throughput[subject.Name].MessagesPerSecond!.Value * step;
                curve.Add(await Measure.OpenLoopAsync(subject, swarms[subject], $"curve {step:0.00}", size, rate, options.Duration));
            }
        }
    }

    private async Task JsonAsync()
    {
        using var swarms = await SwarmsAsync(10, json: true);
        await EachAsync(
            "json", subject => Measure.ThroughputAsync(subject, swarms[subject], "rooms of 10, JSON", 10, options.Connections, options.Duration),
                row => row.DeliveriesPerSecond);
    }

    private async Task StoreAsync()
    {
        if (postgres is not null)
            await StoreAsync("Postgres", [$"--Server:DataDirectory={directory}/store",
                $"--ConnectionStrings:Postgres={PostgresInstance.ConnectionString(postgres.Port, await postgres.CreateDatabaseAsync())}"], postgres.Process);
        if (options.WantsSubject("sqlite"))
            await StoreAsync("SQLite", [$"--Server:DataDirectory={directory}/store-embedded"], null);
    }

    private async Task StoreAsync(string engine, string[] settings, Child? process)
    {
        var appends = new List<Row>();
        var singles = new List<Row>();
        var raws = new List<Row>();
        var limit = await StoreLimit.OpenAsync(settings, process, options.Payload);
        await using var closing = limit;
        for (var run = 1; run <= options.Runs; run++)
        {
            Progress.Show($"store: {engine}, run {run}");
            appends.Add(await limit.AppendAsync($"store, {engine}", StoreLimit.Batch, options.Duration));
            singles.Add(await limit.AppendAsync($"store, {engine}", 1, options.Duration));
            if (process is not null)
                raws.Add(await limit.InsertAsync($"store, {engine}", options.Duration));
        }

        var raw = raws.Count == 0 ? null : Row.Median(raws, row => row.MessagesPerSecond);
        var append = Row.Median(appends, row => row.MessagesPerSecond);
        if (raw is not null)
            Add(raw with { RatioToStoreLimit = 1 });
        Add(append with { RatioToStoreLimit = append.MessagesPerSecond / raw?.MessagesPerSecond });
        Add(Row.Median(singles, row => row.MessagesPerSecond));
    }

    /// <summary>Measures each subject in turn, several times over, and reports the medians beside the bare hub's.</summary>
    private async Task<Dictionary<string, Row>> EachAsync(string what, Func<Subject, Task<Row>> measure, Func<Row, double?> by, int? runs = null,
        bool show = true, bool servers = false)
    {
        var measured = subjects.ToDictionary(subject => subject.Name, _ => new List<Row>());
        for (var run = 1; run <= (runs ?? options.Runs); run++)
        {
            foreach (var subject in subjects.Where(subject => !servers || subject is ServerSubject))
            {
                Progress.Show($"{what}: {subject.Name}, run {run}");
                measured[subject.Name].Add(await measure(subject));
            }
        }

        var medians = measured.Where(pair => pair.Value.Count > 0).ToDictionary(pair => pair.Key, pair => Row.Median(pair.Value, by));
        var bare = medians.GetValueOrDefault("bare hub");
        foreach (var row in medians.Values.Where(_ => show))
        {
            var store = rows.Find(other => other.Mode.StartsWith("append", StringComparison.Ordinal)
                && other.Subject.EndsWith(row.Subject, StringComparison.Ordinal));
            Add(row with
            {
                RatioToBareHub = bare is null ? null : by(row) / by(bare),
                RatioToStoreLimit = what is "json" || what.StartsWith("rooms", StringComparison.Ordinal)
                    ? row.MessagesPerSecond / store?.MessagesPerSecond : null,
            });
        }

        return medians;
    }

    private void Add(Row row)
    {
        Progress.Clear();
        Console.WriteLine(Report.Format(row));
        rows.Add(row);
    }

    private async Task<Swarms> SwarmsAsync(int size, bool json)
    {
        var swarms = new Swarms();
        foreach (var subject in subjects)
        {
            Progress.Show($"connecting {options.Connections} clients to {subject.Name}");
            var swarm = new Swarm(HashCode.Combine(options.Seed, size, json, subject.Name));
            swarms[subject] = swarm;
            await swarm.ConnectAsync(subject.Seats(options.Connections, size), json, options.Payload, CancellationToken.None);
        }

        return swarms;
    }

    private sealed class Swarms : Dictionary<Subject, Swarm>, IDisposable
    {
        public void Dispose()
        {
            foreach (var swarm in Values)
                swarm.Dispose();
        }
    }
}
