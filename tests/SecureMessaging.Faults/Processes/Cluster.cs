using System.Globalization;

namespace SecureMessaging.Faults.Processes;

/// <summary>What a cluster is made of. Rounds of the same shape share one.</summary>
/// <param name="Engine">sqlite or postgres.</param>
/// <param name="Nodes">Server processes; several need Postgres and Redis.</param>
/// <param name="Change">Null: the shipped server. Else what the harness's own host changes in it.</param>
internal sealed record Shape(string Engine, int Nodes, string? Change = null);

/// <summary>Server processes, their database and Redis, with a link on every way between them.</summary>
internal sealed class Cluster : IAsyncDisposable
{
    private readonly List<Link> links = [];
    private readonly string directory;

    private Cluster(Shape shape, string directory) => (Shape, this.directory) = (shape, directory);

    public Shape Shape { get; }

    public List<Node> Nodes { get; } = [];

    public PostgresInstance? Postgres { get; private set; }

    /// <summary>Past the links.</summary>
    public string? PostgresConnectionString { get; private set; }

    public RedisInstance? Redis { get; private set; }

    /// <summary>Whether the built server knows the backplane.</summary>
    public static bool ServerHasBackplane { get; } = File.Exists(Path.Combine(
        Path.GetDirectoryName(NodeProgram.Shipped.Assembly)!, "Microsoft.AspNetCore.SignalR.StackExchangeRedis.dll"));

    /// <param name="shape">What to build.</param>
    /// <param name="postgresDirectory">Where Postgres keeps its data; default: in the cluster's own directory.</param>
    public static async Task<Cluster> StartAsync(Shape shape, string? postgresDirectory = null)
    {
        var cluster = new Cluster(shape, Scratch.Create("sm-faults-"));
        try
        {
            await cluster.StartServicesAsync(postgresDirectory);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    private async Task StartServicesAsync(string? postgresDirectory)
    {
        string? database = null;
        if (Shape.Engine == "postgres")
        {
            Postgres = new PostgresInstance(postgresDirectory ?? Path.Combine(directory, "postgres"));
            await Postgres.InitializeAsync();
            await Postgres.StartAsync();
            database = await Postgres.CreateDatabaseAsync();
            PostgresConnectionString = PostgresInstance.ConnectionString(Postgres.Port, database);
        }

        if (Shape.Nodes > 1)
        {
            Redis = new RedisInstance(directory);
            await Redis.StartAsync();
        }

        for (var i = 0; i < Shape.Nodes; i++)
        {
            var settings = new List<string> { $"--Server:KeyDirectory={Path.Combine(directory, "keys")}" };
            var postgres = Add(Postgres?.Port);
            var redis = Add(Redis?.Port);
            if (postgres is not null)
                settings.Add($"--ConnectionStrings:Postgres={PostgresInstance.ConnectionString(postgres.Port, database!)}");
            if (redis is not null)
                settings.Add($"--ConnectionStrings:Redis=127.0.0.1:{redis.Port.ToString(CultureInfo.InvariantCulture)}");
            var program = Shape.Change is null ? NodeProgram.Shipped : NodeProgram.Hosted(Shape.Change);
            Nodes.Add(new Node(program, Path.Combine(directory, $"node{i}"), [.. settings], postgres, redis));
            await Nodes[i].StartAsync();
        }
    }

    public void HealAll()
    {
        foreach (var link in links)
            link.Heal();
        foreach (var node in Nodes)
        {
            node.Clients.Heal();
            node.Victims.Heal();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in Nodes)
            await node.DisposeAsync();
        foreach (var link in links)
            await link.DisposeAsync();
        if (Redis is not null)
            await Redis.DisposeAsync();
        if (Postgres is not null)
            await Postgres.DisposeAsync();
        Scratch.Delete(directory);
    }

    private Link? Add(int? target)
    {
        if (target is null)
            return null;
        var link = new Link(target.Value);
        links.Add(link);
        return link;
    }
}
