using System.Globalization;
using System.Text.RegularExpressions;
using SecureMessaging.Faults.Processes;
using SecureMessaging.Load.Client;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Load.Subjects;

/// <summary>
/// The shipped server: one node, or several with Redis, on its embedded database or on Postgres, fsync on, limits of rate raised and everything else
/// without settings.
/// </summary>
internal sealed partial class ServerSubject(
    string name, string directory, Certificate certificate, PostgresInstance? postgres, RedisInstance? redis, int nodes) : Subject(name)
{
    private readonly int[] ports = [.. Enumerable.Range(0, nodes).Select(_ => Ports.Take())];
    private readonly int[] securePorts = [.. Enumerable.Range(0, nodes).Select(_ => Ports.Take())];
    private readonly int[] managementPorts = [.. Enumerable.Range(0, nodes).Select(_ => Ports.Take())];
    private string[] settings = [];
    private Seed? seed;

    /// <summary>What the environment says to the generator's own sockets is not for servers.</summary>
    public static IReadOnlyDictionary<string, string> Environment { get; } = new Dictionary<string, string>
    {
        [GeneratorSockets.InlineCompletions] = "0",
        [GeneratorSockets.Threads] = "",
    };

    public required Population Population { get; init; }

    /// <summary>The assembly that the nodes run. Its schema must be that of this tree, because this tree's code fills the database.</summary>
    public string Assembly { get; init; } = Repository.BuiltAssembly("src/SecureMessaging.Server");

    private Seed Seeded => seed ?? throw new InvalidOperationException("Not started.");

    /// <summary>Of a member of <see cref="Seed.HistoryRoom"/>.</summary>
    public Seat HistorySeat() => new(new Uri($"http://127.0.0.1:{ports[0]}{Wire.HubPath}"), Seeded.HistoryToken, Seed.HistoryRoom.ToString());

    protected override Child? Database => postgres?.Process;

    protected override Child? Other => redis?.Process;

    public override async Task StartAsync()
    {
        var list = new List<string> { $"--Server:KeyDirectory={Path.Combine(directory, "keys")}" };
        if (postgres is not null)
            list.Add($"--ConnectionStrings:Postgres={PostgresInstance.ConnectionString(postgres.Port, await postgres.CreateDatabaseAsync())}");
        if (redis is not null)
            list.Add($"--ConnectionStrings:Redis=127.0.0.1:{redis.Port.ToString(CultureInfo.InvariantCulture)}");
        // Far above what is sent here, so that counting is part of what is measured and refusing is not.
        foreach (var rule in new[] { "Requests", "RequestsOfAddress", "Connects", "ConnectsOfAddress", "Renewals", "Sends" })
            list.AddRange([$"--RateLimits:{rule}:Burst=1000000000", $"--RateLimits:{rule}:PerMinute=1000000000"]);
        list.AddRange(["--Quotas:AccountBytesPerDay=2000000000", "--Quotas:RoomBytesPerDay=2000000000", "--Quotas:RoomBytes=1000000000000"]);
        settings = [.. list];
        seed = await Seed.PlantAsync([.. settings, $"--Server:DataDirectory={Path.Combine(directory, "node0")}"], Population);
        for (var i = 0; i < nodes; i++)
        {
            Servers.Add(new Child(
                "dotnet",
                [
                    Assembly, .. settings, $"--Server:DataDirectory={Path.Combine(directory, $"node{i}")}",
                    $"--Kestrel:Certificates:Default:Path={certificate.Pem}", $"--Kestrel:Certificates:Default:KeyPath={certificate.Key}",
                    $"--urls=http://127.0.0.1:{ports[i]};https://127.0.0.1:{securePorts[i]}", $"--Management:Url=http://127.0.0.1:{managementPorts[i]}",
                ],
                Environment));
            await ReadyAsync(Servers[i], $"http://127.0.0.1:{ports[i]}/v1/limits");
        }
    }

    public override int Nodes => nodes;

    public override int Port(int client) => ports[client % nodes];

    public override int SecurePort(int client) => securePorts[client % nodes];

    /// <summary>All, because the sender's other devices need the entry too.</summary>
    public override int ReceiversIn(int roomSize) => roomSize;

    protected override Seat SeatAt(string origin, int client, int roomSize) =>
        new(new Uri(origin + Wire.HubPath), Seeded.Token(roomSize, client), Seed.RoomOf(roomSize, client).ToString());

    /// <summary>How long sends have been in each stage, of the first node.</summary>
    public async Task<Trace> TraceAsync() => Trace.Read(await GetAsync($"http://127.0.0.1:{managementPorts[0]}/metrics"));

    protected override async Task<double> AllocatedAsync(int server) =>
        Number(Allocated().Match(await GetAsync($"http://127.0.0.1:{managementPorts[server]}/metrics")).Groups["bytes"].Value);

    [GeneratedRegex(@"^dotnet_gc_heap_total_allocated_bytes_total\S* (?<bytes>\S+)", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Allocated();
}
