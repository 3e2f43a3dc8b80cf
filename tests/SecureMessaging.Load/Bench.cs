using SecureMessaging.Faults.Processes;
using SecureMessaging.Load.Client;
using SecureMessaging.Load.Subjects;

namespace SecureMessaging.Load;

/// <summary>All measurements side by side in one run.</summary>
internal sealed class Bench(Options options) : IAsyncDisposable
{
    private const int SmallRoom = 10;
    private const int LowRate = 200;
    private const int ColdRate = 1000;
    private static readonly int[] Rates = [1000, 3000];
    private static readonly int[] RoomSizes = [SmallRoom, 100, 1000];
    private static readonly double[] LoadSteps = [0.1, 0.25, 0.4, 0.55, 0.7, 0.85];
    private static readonly TimeSpan ColdTime = TimeSpan.FromSeconds(5);

    private readonly string directory = Scratch.Create("sm-load-");
    private readonly Pairs pairs = new(options.Runs, options.MostOtherCores);
    private readonly List<Row> rows = [];
    private readonly List<Row> curve = [];
    private Stage? stage;

    public async Task<int> RunAsync()
    {
        Console.WriteLine($"seed {options.Seed}, {options.Payload}-byte envelopes, {options.Runs} runs of {options.Duration.TotalSeconds:0.#} s, fsync on");
        Progress.Show("starting Postgres, Redis and the servers");
        var people = Math.Max(options.Connections, options.Wants("idle") ? IdleConnections : 0);
        stage = await Stage.StartAsync(options, directory, new Population(people, RoomSizes, options.Wants("replay") ? History : 0));
        Console.WriteLine(Report.Heading);
        if (options.Wants("idle"))
            await EachAsync("idle", subject => Measure.IdleAsync(subject, IdleConnections, SmallRoom, IdleTime, options.Seed), row => row.BytesPerConnection,
                once: true);
        if (options.Wants("store"))
            await StoreAsync();
        foreach (var size in RoomSizes.Where(size => size <= options.Connections))
            await RoomsAsync(size);
        foreach (var front in (Front[])[Front.Tls, Front.Nginx])
            await FrontAsync(front);
        if (options.Wants("json"))
            await JsonAsync();
        if (options.Wants("cold"))
            await ColdAsync();
        if (options.Wants("storm"))
            await EachAsync("storm", subject => Measure.StormAsync(subject, options.Connections, SmallRoom, options.Seed), row => row.P99Ms, once: true);
        if (options.Wants("replay"))
            await EachAsync("replay", subject => Measure.ReplayAsync((ServerSubject)subject, History, options.Seed), row => row.DeliveriesPerSecond,
                once: true, subjects: stage.Subjects.OfType<ServerSubject>());
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
        if (stage is not null)
            await stage.DisposeAsync();
        Scratch.Delete(directory);
    }

    private Stage Stage => stage ?? throw new InvalidOperationException("Not started.");

    private int IdleConnections => options.Quick ? 1000 : 10_000;

    private TimeSpan IdleTime => TimeSpan.FromSeconds(options.Quick ? 1 : 20);

    private TimeSpan WarmUp => TimeSpan.FromSeconds(options.Quick ? 5 : 60);

    private int History => options.Quick ? 20_000 : 1_000_000;

    private async Task RoomsAsync(int size)
    {
        if (!options.Wants("throughput") && !(size == SmallRoom && (options.Wants("latency") || options.Wants("cpu") || options.Wants("trace"))))
            return;
        using var swarms = await SwarmsAsync(size);
        // Code that runs seldom is compiled fast and not well. Measured is what stays once everything has been compiled well.
        if (size == SmallRoom)
            await WarmUpAsync(swarms, size);
        // In big rooms a few senders keep every server busy; more would only queue.
        var senders = size < 1000 ? options.Connections : Math.Min(200, options.Connections);
        if (options.Wants("throughput"))
            await EachAsync(
                $"rooms of {size}", subject => Measure.ThroughputAsync(subject, swarms[subject], $"rooms of {size}", size, senders, options.Duration),
                row => row.MessagesPerSecond);
        if (size != SmallRoom)
            return;
        foreach (var rate in options.Wants("latency") ? options.Rate is { } given ? [given] : Rates : [])
            await OpenLoopAsync(swarms, rate, row => row.P99Ms);
        foreach (var rate in options.Wants("trace") ? Rates : [])
            await TraceAsync(swarms, rate);
        if (options.Wants("cpu"))
            await OpenLoopAsync(swarms, LowRate, row => row.CpuPerMessage);
        if (options.Svg is not null)
            await CurveAsync(swarms);
    }

    private Task OpenLoopAsync(Swarms swarms, int rate, Func<Row, double?> by, string suffix = "") => EachAsync(
        $"{rate}/s{suffix}", subject => Measure.OpenLoopAsync(subject, swarms[subject], $"{rate}/s{suffix}", SmallRoom, rate, options.Duration), by,
        subjects: swarms.Keys);

    /// <summary>Where a message waits inside the server.</summary>
    private async Task TraceAsync(Swarms swarms, int rate)
    {
        foreach (var subject in Stage.Subjects.OfType<ServerSubject>())
        {
            var before = await subject.TraceAsync();
            var row = await Measure.OpenLoopAsync(subject, swarms[subject], $"trace, {rate}/s", SmallRoom, rate, options.Duration);
            Add(row);
            foreach (var (passed, count, p50, p99) in (await subject.TraceAsync()).Since(before))
                Console.WriteLine($"  {passed,-12} {count,8:N0} times, p50 {p50,8:N0} us, p99 {p99,8:N0} us");
        }
    }

    /// <summary>Rooms of 10 through TLS, for the servers of one node: the same two measurements as without it.</summary>
    private async Task FrontAsync(Front front)
    {
        if (!options.Wants("tls"))
            return;
        var suffix = front == Front.Tls ? ", TLS" : ", nginx";
        using var swarms = await SwarmsAsync(SmallRoom, front: front);
        await WarmUpAsync(swarms, SmallRoom, fraction: 0.25);
        await EachAsync(
            $"rooms of {SmallRoom}{suffix}",
            subject => Measure.ThroughputAsync(subject, swarms[subject], $"rooms of {SmallRoom}{suffix}", SmallRoom, options.Connections, options.Duration),
            row => row.MessagesPerSecond, subjects: swarms.Keys);
        await OpenLoopAsync(swarms, Rates[0], row => row.P99Ms, suffix);
    }

    /// <summary>
    /// All at once, because it is their compilers that need the time. Then the database, so that what it does only while it is young is over, and again what it
    /// does for the first writes after a checkpoint: to log whole pages.
    /// </summary>
    private async Task WarmUpAsync(Swarms swarms, int size, double fraction = 1)
    {
        Progress.Show("warming up");
        await RunAsync(WarmUp * fraction);
        if (Stage.Postgres is null)
            return;
        await Stage.Postgres.AgeAsync();
        await RunAsync(WarmUp * fraction / 4);

        Task RunAsync(TimeSpan time) =>
            Task.WhenAll(swarms.Select(pair => Measure.ThroughputAsync(pair.Key, pair.Value, "warm-up", size, options.Connections, time)));
    }

    private async Task CurveAsync(Swarms swarms)
    {
        foreach (var subject in Stage.Subjects)
        {
            var most = await Measure.ThroughputAsync(subject, swarms[subject], "", SmallRoom, options.Connections, options.Duration);
            foreach (var rate in LoadSteps.Select(step => most.MessagesPerSecond!.Value * step))
            {
                Progress.Show($"latency over load: {subject.Name} at {rate:0}/s");
                curve.Add(await Measure.OpenLoopAsync(subject, swarms[subject], $"curve {rate:0}/s", SmallRoom, rate, options.Duration));
            }
        }
    }

    private async Task JsonAsync()
    {
        using var swarms = await SwarmsAsync(SmallRoom, json: true);
        await EachAsync(
            "json", subject => Measure.ThroughputAsync(subject, swarms[subject], "rooms of 10, JSON", SmallRoom, options.Connections, options.Duration),
            row => row.MessagesPerSecond);
    }

    /// <summary>The first seconds of each server after its start: nothing is compiled well yet, and no buffer is filled.</summary>
    private Task ColdAsync() => EachAsync(
        "cold",
        async subject =>
        {
            await using var fresh = await Stage.StartFreshAsync(subject, new Population(options.Connections, [SmallRoom], 0));
            using var swarm = new Swarm(options.Seed);
            await swarm.ConnectAsync(fresh.Seats(options.Connections, SmallRoom), json: false, options.Payload, CancellationToken.None);
            return await Measure.OpenLoopAsync(fresh, swarm, $"cold, {ColdRate}/s", SmallRoom, ColdRate, ColdTime, warmUp: TimeSpan.Zero);
        },
        row => row.P99Ms);

    private async Task StoreAsync()
    {
        if (Stage.Postgres is { } postgres)
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

    private async Task EachAsync(
        string what, Func<Subject, Task<Row>> measure, Func<Row, double?> by, bool once = false, IEnumerable<Subject>? subjects = null)
    {
        foreach (var row in await pairs.MeasureAsync(subjects ?? Stage.Subjects, what, measure, by, once))
            Add(row);
    }

    private void Add(Row row)
    {
        Progress.Clear();
        Console.WriteLine(Report.Format(row));
        rows.Add(row);
    }

    private async Task<Swarms> SwarmsAsync(int size, bool json = false, Front front = Front.None)
    {
        var swarms = new Swarms();
        foreach (var subject in front == Front.None ? Stage.Subjects : Stage.Subjects.Where(subject => subject.Nodes == 1))
        {
            Progress.Show($"connecting {options.Connections} clients to {subject.Name}");
            var swarm = new Swarm(HashCode.Combine(options.Seed, size, json, front, subject.Name));
            swarms[subject] = swarm;
            await swarm.ConnectAsync(subject.Seats(options.Connections, size, front), json, options.Payload, CancellationToken.None);
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
