using SecureMessaging.Faults.Clients;
using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Faults.Injectors;

/// <summary>One way in which things go wrong.</summary>
/// <param name="Name">As the report and the command line call it.</param>
/// <param name="What">One sentence for the list.</param>
/// <param name="Engines">Engines it applies to.</param>
/// <param name="Nodes">Server processes it needs.</param>
/// <param name="InjectAsync">Does it, once or several times, while clients send; returns when all is healed.</param>
internal sealed record Fault(string Name, string What, string[] Engines, int Nodes, Func<Injection, Task> InjectAsync)
{
    /// <summary>Least time of load, whatever the duration asked for.</summary>
    public TimeSpan AtLeast { get; init; } = TimeSpan.Zero;

    /// <summary>Whether Postgres is to live on a loop-mounted disk.</summary>
    public bool NeedsDisk { get; init; }

    /// <summary>What the harness's own host changes in the server.</summary>
    public string? Change { get; init; }

    /// <summary>Figures with promised bounds that follow from the row itself.</summary>
    public Func<Injection, Row, IEnumerable<Figure>> Promises { get; init; } = (_, _) => [];

    /// <summary>Whether ack latency is that of the clients the fault spares.</summary>
    public bool OthersOnly { get; init; }

    /// <summary>Whether the two victims connect with tickets instead of tokens.</summary>
    public bool Tickets { get; init; }

    /// <summary>Whether the two victims send to a room of their own, and the others do not send to it.</summary>
    public bool VictimsShareRoom { get; init; }

    /// <summary>Connections beside the senders' that only watch, of ten accounts in a room of their own.</summary>
    public Func<Injection, int> Watchers { get; init; } = _ => 0;
}

/// <summary>What an injector works on.</summary>
internal sealed class Injection(Cluster cluster, LoopDisk? disk, TimeSpan duration, bool isLong, Random random, Action<string> say)
{
    public Cluster Cluster => cluster;

    public LoopDisk Disk => disk ?? throw new InvalidOperationException("This fault has no disk of its own.");

    /// <summary>How long clients send at least.</summary>
    public TimeSpan Duration => duration;

    /// <summary>Whether the run is a long one, in which numbers are as large as the promise.</summary>
    public bool IsLong => isLong;

    public Random Random => random;

    public Load Load { get; set; } = null!;

    /// <summary>The moments from which recovery is measured (Stopwatch ticks).</summary>
    public List<long> Marks { get; } = [];

    /// <summary>Node 0, or any of them.</summary>
    public Node Victim => cluster.Nodes[random.Next(cluster.Nodes.Count)];

    /// <summary>The longest that a node took to exit after SIGTERM.</summary>
    public TimeSpan SlowestExit { get; private set; }

    public void ExitedAfter(TimeSpan time) => SlowestExit = time > SlowestExit ? time : SlowestExit;

    public List<Figure> Figures { get; } = [];

    /// <summary>What is to be measured when all clients have come to rest.</summary>
    public Action Afterwards { get; set; } = () => { };

    /// <summary>Notes a figure for the report, with what is promised of it.</summary>
    public void Measure(string name, double value, string unit, double? bound = null) => Figures.Add(new Figure(name, value, unit, bound));

    /// <summary>What the fault found wrong by itself, in rounds of any length.</summary>
    public List<string> Complaints { get; } = [];

    public void Say(string text) => say(text);

    /// <summary>From here on clients should recover.</summary>
    public void Recovering() => Marks.Add(System.Diagnostics.Stopwatch.GetTimestamp());

    public static Task WaitAsync(double seconds) => Task.Delay(TimeSpan.FromSeconds(seconds));

    /// <summary>Repeats until the duration is over, at least once, with load in between.</summary>
    public async Task RepeatAsync(double pauseSeconds, Func<Task> once)
    {
        var watch = System.Diagnostics.Stopwatch.StartNew();
        do
        {
            await WaitAsync(pauseSeconds);
            await once();
        }
        while (watch.Elapsed < duration);
        await WaitAsync(pauseSeconds);
    }
}
