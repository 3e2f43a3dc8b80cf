using System.Globalization;
using SecureMessaging.Faults.Processes;
using SecureMessaging.Load.Client;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Load.Subjects;

/// <summary>What has been used since the subject began.</summary>
/// <param name="ServerCpu">Microseconds, all nodes together.</param>
/// <param name="DatabaseCpu">Microseconds of Postgres.</param>
/// <param name="OtherCpu">Microseconds of Redis and of nginx.</param>
/// <param name="Allocated">Bytes that the server's runtime has allocated.</param>
/// <param name="GeneratorCpu">Microseconds of this program.</param>
internal sealed record Meter(double ServerCpu, double DatabaseCpu, double OtherCpu, double Allocated, double GeneratorCpu)
{
    public static Meter operator -(Meter later, Meter earlier) => new(
        later.ServerCpu - earlier.ServerCpu, later.DatabaseCpu - earlier.DatabaseCpu, later.OtherCpu - earlier.OtherCpu, later.Allocated - earlier.Allocated,
        later.GeneratorCpu - earlier.GeneratorCpu);
}

/// <summary>Something to be measured: processes of its own, and seats for clients.</summary>
internal abstract class Subject(string name) : IAsyncDisposable
{
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(60) };

    public string Name => name;

    /// <summary>The server processes.</summary>
    protected List<Child> Servers { get; } = [];

    /// <summary>Postgres, when it is used; all databases of a run share it, so only one subject may be busy at a time.</summary>
    protected virtual Child? Database => null;

    /// <summary>Redis, when it is used.</summary>
    protected virtual Child? Other => null;

    public abstract Task StartAsync();

    /// <summary>The port for HTTP of the node that this client uses.</summary>
    public abstract int Port(int client);

    /// <summary>The same for HTTPS.</summary>
    public abstract int SecurePort(int client);

    /// <summary>Clients that a message reaches in a room of this size.</summary>
    public abstract int ReceiversIn(int roomSize);

    public virtual int Nodes => 1;

    /// <summary>Stands in front of the nodes when it is given.</summary>
    public Nginx? Nginx { get; init; }

    /// <summary>A seat for each of the first so many clients, in rooms of this size.</summary>
    public IReadOnlyList<Seat> Seats(int clients, int roomSize, Front front = Front.None) => [.. Enumerable.Range(0, clients).Select(i => SeatAt(
        front switch
        {
            Front.None => $"http://127.0.0.1:{Port(i)}",
            Front.Tls => $"https://127.0.0.1:{SecurePort(i)}",
            _ => $"https://127.0.0.1:{Nginx!.InFrontOf(Port(i))}",
        },
        i,
        roomSize))];

    protected abstract Seat SeatAt(string origin, int client, int roomSize);

    public async Task<Meter> ReadAsync()
    {
        var allocated = 0.0;
        for (var i = 0; i < Servers.Count; i++)
            allocated += await AllocatedAsync(i);
        return new Meter(
            Servers.Sum(server => Usage.CpuMicroseconds(server.Id)), Database is null ? 0 : Usage.CpuMicroseconds(Database.Id, family: true),
            (Other is null ? 0 : Usage.CpuMicroseconds(Other.Id)) + (Nginx is null ? 0 : Usage.CpuMicroseconds(Nginx.Process.Id, family: true)),
            allocated, Usage.CpuMicroseconds(Environment.ProcessId));
    }

    public long ServerBytes() => Servers.Sum(server => Usage.PrivateBytes(server.Id));

    protected abstract Task<double> AllocatedAsync(int server);

    protected static Task<string> GetAsync(string url) => Http.GetStringAsync(url);

    protected static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    protected static async Task ReadyAsync(Child process, string url)
    {
        if (!await ServerStart.AnswersAsync(new Uri(url), () => process.HasExited, () => process.Output))
            throw new InvalidOperationException($"The server of {url} has ended:\n{process.Output}");
    }

    public virtual async ValueTask DisposeAsync()
    {
        foreach (var server in Servers)
            await server.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}
