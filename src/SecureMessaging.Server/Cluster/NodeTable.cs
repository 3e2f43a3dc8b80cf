using System.Data.Common;
using System.Globalization;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Startup;

namespace SecureMessaging.Server.Cluster;

/// <summary>The state of Redis as one node sees it.</summary>
internal enum RedisState
{
    None = 0,
    Away = 1,
    Reached = 2,
}

/// <summary>
/// Renews this process's row in <c>nodes</c> every 5 s and compares it with the rows of the others. Nodes with different settings would each look healthy, and
/// messages, revocations or sign-ins would be lost between them.
/// </summary>
/// <remarks>On SQLite there is one process, and nothing to compare.</remarks>
internal sealed partial class NodeTable(
    Database database, NodeBus bus, KeyRing ring, IOptions<ServerOptions> options, TimeProvider time, ILogger<NodeTable> logger)
    : BackgroundService, IHealthCheck
{
    /// <summary>A node counts as gone when its row is older.</summary>
    private const int AliveSeconds = 20;

    private const int ToleratedClockSeconds = 60;

    private const string RenewSql = """
        insert into nodes (id, name, version, signing_key, redis, clock_ahead, seen_at)
        values (@Id, @Name, @Version, @SigningKey, @Redis, extract(epoch from @Now - clock_timestamp())::integer, clock_timestamp())
        on conflict (id) do update
        set signing_key = excluded.signing_key, redis = excluded.redis, clock_ahead = excluded.clock_ahead, seen_at = excluded.seen_at
        returning clock_ahead
        """;

    private const string OthersSql = """
        select id, name, version, signing_key, redis from nodes
        where id <> @Id and seen_at > clock_timestamp() - make_interval(secs => @Alive) order by name
        """;

    private const string ForgetSql = "delete from nodes where seen_at < clock_timestamp() - interval '1 hour'";

    private const string LeaveSql = "delete from nodes where id = @Id";

    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(1);

    private readonly OncePerMinute unreadable = new(time);
    private volatile Row[] others = [];
    private int allowedConnections = int.MaxValue;
    private volatile string? disagreement;
    private volatile bool allReached = true;

    /// <summary>Whether other processes run on this database.</summary>
    public bool HasOthers => others.Length > 0;

    /// <summary>Whether pings of every other node arrive through Redis. Otherwise the database is read for what they do.</summary>
    public bool AllReached => allReached;

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(disagreement is { } sentence ? HealthCheckResult.Degraded(sentence) : HealthCheckResult.Healthy());

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!database.IsPostgres)
            return;
        using var timer = new PeriodicTimer(Period, time);
        try
        {
            do
                await TurnAsync(stoppingToken);
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            await LeaveAsync();
        }
    }

    private async Task TurnAsync(CancellationToken stoppingToken)
    {
        try
        {
            var ahead = await database.WriteAsync(RenewAsync, stoppingToken);
            Compare(ahead);
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            // An outage of the database has its own log line.
            if (exception is not ApiException)
                Failed(logger, exception.GetType().Name);
        }

        async Task<int> RenewAsync(DbTransaction transaction)
        {
            var ahead = await transaction.QuerySingleAsync<int>(RenewSql, new
            {
                bus.Id,
                Name = options.Value.NodeName,
                Version = ServerVersion.Current,
                SigningKey = ring.Current.Id,
                Redis = (int)(bus.IsHealthy ? RedisState.Reached : bus.IsEnabled ? RedisState.Away : RedisState.None),
                Now = time.Now(),
            }, stoppingToken);
            await transaction.ExecuteAsync(ForgetSql, null, stoppingToken);
            allowedConnections = await transaction.QuerySingleAsync<int>(PostgresDatabase.AllowedConnectionsSql, null, stoppingToken);
            others = [.. await transaction.QueryAsync<Row>(OthersSql, new { bus.Id, Alive = AliveSeconds }, stoppingToken)];
            return ahead;
        }
    }

    private void Compare(int clockAhead)
    {
        var sentences = new List<string>();
        var unreached = others.Where(IsUnreached).ToArray();
        allReached = unreached.Length == 0;
        if (unreached.Length > 0)
        {
            sentences.Add(
                $"{Names(unreached)} and this node do not reach each other through Redis, and each polls the database for what the other does. "
                + "Set the same ConnectionStrings:Redis and Redis:ChannelPrefix on all nodes.");
        }

        var strangers = others.Where(other => !Knows(other.SigningKey)).ToArray();
        if (strangers.Length > 0)
        {
            sentences.Add(
                $"{Names(strangers)} signs with a key that is not in {options.Value.EffectiveKeyDirectory}, so that each rejects tokens of the other. "
                + "Let Server:KeyDirectory be one directory that all nodes share.");
        }

        if (Math.Abs(clockAhead) > ToleratedClockSeconds)
        {
            sentences.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"The clock of this node is {Math.Abs(clockAhead)} s {(clockAhead > 0 ? "ahead of" : "behind")} the database's. Synchronise both by NTP."));
        }

        var nodes = others.Length + 1;
        var connections = nodes * (database as PostgresDatabase)!.Connections;
        if (connections > allowedConnections)
        {
            sentences.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"{nodes} nodes may open {connections} connections, and Postgres allows {allowedConnections}: "
                + $"lower Postgres:PoolSize, or raise max_connections."));
        }

        disagreement = sentences.Count == 0 ? null : string.Join(' ', sentences);
    }

    /// <summary>While Redis is away no pings arrive, and the check of Redis reports that.</summary>
    private bool IsUnreached(Row other) => !bus.IsEnabled || other.Redis == (int)RedisState.None
        || (other.Redis == (int)RedisState.Reached && bus.IsHealthy && !bus.Reaches(other.Id));

    /// <summary>For an unknown key this node reads the directory again, and writes back the keys that the directory lost.</summary>
    private bool Knows(string keyId)
    {
        if (ring.Find(keyId) is not null)
            return true;
        try
        {
            if (ring.Turn().HasFlag(KeyTurn.Restored))
                KeysRestored(logger);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            // The keys in memory are compared, and the next turn reads the directory again.
            if (unreadable.Allows(exception.GetType().Name, out _))
                KeysUnreadable(logger, exception.GetType().Name);
        }

        return ring.Find(keyId) is not null;
    }

    private async Task LeaveAsync()
    {
        using var patience = new CancellationTokenSource(Farewell, time);
        try
        {
            await database.ExecuteAsync(LeaveSql, new { bus.Id }, patience.Token);
        }
        catch (Exception exception)
        {
            // The other nodes see it by the age of the row.
            Failed(logger, exception.GetType().Name);
        }
    }

    private static string Names(Row[] nodes) => string.Join(", ", nodes.Select(node => node.Name));

    [LoggerMessage(4402, LogLevel.Warning, "This node could not write its row in the table nodes ({ExceptionType})")]
    private static partial void Failed(ILogger logger, string exceptionType);

    [LoggerMessage(4401, LogLevel.Warning, "A signing key that this node uses was missing or replaced in the key directory; this node wrote it back")]
    private static partial void KeysRestored(ILogger logger);

    [LoggerMessage(4403, LogLevel.Warning, "The key directory could not be read to look for another node's key ({ExceptionType})")]
    private static partial void KeysUnreadable(ILogger logger, string exceptionType);

    private sealed record Row
    {
        public Guid Id { get; init; }
        public string Name { get; init; } = "";
        public string Version { get; init; } = "";
        public string SigningKey { get; init; } = "";
        public short Redis { get; init; }
    }
}
