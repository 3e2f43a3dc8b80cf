using System.Diagnostics;
using System.Globalization;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Faults.Processes;

/// <summary>How a node's process comes to be.</summary>
/// <param name="Assembly">What is run: the shipped server, or the harness's own host of it.</param>
/// <param name="FirstArguments">Arguments before the settings.</param>
internal sealed record NodeProgram(string Assembly, string[] FirstArguments)
{
    public static NodeProgram Shipped => new(Repository.BuiltAssembly("src/SecureMessaging.Server"), []);

    /// <summary>The shipped code in the harness's own process, which replaces a service or two.</summary>
    public static NodeProgram Hosted(string change) => new(typeof(NodeProgram).Assembly.Location, ["planted", change]);
}

/// <summary>One server process, always on the same port, reached through a link.</summary>
internal sealed class Node(NodeProgram program, string dataDirectory, string[] settings, Link? postgres, Link? redis) : IAsyncDisposable
{
    private const int MaxStarts = 20;
    private readonly int port = Ports.Take();
    private readonly int managementPort = Ports.Take();
    private Child? process;
    private Link? link;
    private Link? otherLink;

    /// <summary>The node's own address, past all links.</summary>
    public Uri Url => new($"http://127.0.0.1:{port}");

    /// <summary>The way of the clients to this node.</summary>
    public Link Clients => link ??= new Link(port);

    /// <summary>The way of the clients that are to suffer alone.</summary>
    public Link Victims => otherLink ??= new Link(port);

    /// <summary>The way of this node to Postgres.</summary>
    public Link? Postgres => postgres;

    /// <summary>The way of this node to Redis.</summary>
    public Link? Redis => redis;

    public Child Process => process ?? throw new InvalidOperationException("The node is not started.");

    /// <summary>What a process said that ended instead of getting ready.</summary>
    public List<string> FailedStarts { get; } = [];

    /// <summary>
    /// Starts the process and waits until it answers. One that gives up, because its database is away as well, is started again, as an init system does.
    /// </summary>
    public async Task StartAsync()
    {
        var environment = new Dictionary<string, string>
        {
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}",
            ["Management__Url"] = $"http://127.0.0.1:{managementPort}",
            ["Server__DataDirectory"] = dataDirectory,
            // Crowds of clients from one address, and writers faster than people.
            ["RateLimits__Enabled"] = "false",
            ["DOTNET_TieredPGO"] = "0",
        };
        var watch = Stopwatch.StartNew();
        for (var starts = 0; starts < MaxStarts; starts++)
        {
            if (process is not null)
                await process.DisposeAsync();
            process = new Child("dotnet", [program.Assembly, .. program.FirstArguments, .. settings], environment);
            if (await ReadyAsync(ServerStart.Patience - watch.Elapsed))
                return;
            FailedStarts.Add(process.Output);
            await Task.Delay(250);
        }

        throw new InvalidOperationException($"The node exited {MaxStarts} times:\n{Process.Output}");
    }

    /// <summary>False when it exits before it answers.</summary>
    private async Task<bool> ReadyAsync(TimeSpan patience)
    {
        if (await ServerStart.AnswersAsync(new Uri(Url, "/v1/limits"), () => Process.HasExited, () => Process.Output, patience))
            return true;
        // Its last words may still be on their way.
        await Process.ExitedAsync(TimeSpan.FromSeconds(5));
        return false;
    }

    /// <summary>What its metrics say of memory: the garbage collector's heap after its last collection, and all that the kernel gave it. In MiB.</summary>
    public async Task<(double Heap, double Resident)> MemoryAsync()
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
        var lines = (await http.GetStringAsync(new Uri($"http://127.0.0.1:{managementPort}/metrics"))).Split('\n');
        return (Sum("dotnet_gc_last_collection_heap_size_bytes"), Sum("dotnet_process_memory_working_set_bytes"));

        double Sum(string metric)
        {
            var values = lines.Where(line => line.StartsWith(metric, StringComparison.Ordinal))
                .Select(line => double.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture)).ToList();
            return values.Count > 0 ? values.Sum() / (1024 * 1024) : throw new InvalidOperationException($"The node's metrics lack {metric}.");
        }
    }

    public async Task KillAsync()
    {
        Process.Send(Signal.Kill);
        await Process.ExitedAsync(TimeSpan.FromSeconds(20));
    }

    /// <summary>SIGKILL, and back again.</summary>
    /// <param name="replaced">Called when the replacement is about to start: by then the last answers of the dead have arrived.</param>
    public async Task CrashAsync(Action replaced)
    {
        await KillAsync();
        await Task.Delay(100);
        replaced();
        await StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (process is not null)
            await process.DisposeAsync();
        if (link is not null)
            await link.DisposeAsync();
        if (otherLink is not null)
            await otherLink.DisposeAsync();
    }
}
