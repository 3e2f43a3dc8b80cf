using System.Globalization;
using Npgsql;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Faults.Processes;

/// <summary>A Postgres of the harness's own: fsync on, loopback only, in a directory that goes away.</summary>
internal sealed class PostgresInstance(string directory) : IAsyncDisposable
{
    private const int AgedFiles = 24;

    private readonly int port = Ports.Take();
    private Child? process;

    public int Port => port;

    public bool HasExited => process?.HasExited ?? true;

    public Child Process => process ?? throw new InvalidOperationException("Postgres is not started.");

    private static bool IsRoot { get; } = Environment.UserName == "root";

    private static string Bin { get; } = Directory.GetDirectories("/usr/lib/postgresql")
        .OrderByDescending(path => double.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture)).Select(path => Path.Combine(path, "bin"))
        .FirstOrDefault()
        ?? throw new InvalidOperationException("Postgres is missing: /usr/lib/postgresql/*/bin.");

    private string Data => Path.Combine(directory, "data");

    public static string ConnectionString(int throughPort, string database) =>
        $"Host=127.0.0.1;Port={throughPort};Username=tester;Database={database}";

    public async Task InitializeAsync()
    {
        Directory.CreateDirectory(directory);
        if (IsRoot)
            await Child.RunAsync("chown", "postgres", directory);
        var (program, arguments) = AsPostgres(
            Path.Combine(Bin, "initdb"), "--pgdata", Data, "--username=tester", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8");
        await Child.RunAsync(program, arguments);
    }

    public async Task StartAsync()
    {
        var (program, arguments) = AsPostgres(
            Path.Combine(Bin, "postgres"), "-D", Data, "-p", port.ToString(CultureInfo.InvariantCulture), "-h", "127.0.0.1", "-k", directory,
            "-c", "fsync=on", "-c", "max_connections=200", "-c", "logging_collector=off");
        if (process is not null)
            await process.DisposeAsync();
        process = new Child(program, arguments);
        for (var i = 0; i < 1200; i++)
        {
            try
            {
                await ExecuteAsync("select 1");
                return;
            }
            catch (NpgsqlException)
            {
                if (process.HasExited)
                    break;
                await Task.Delay(50);
            }
        }

        throw new TimeoutException($"Postgres did not come up: {process.Output}");
    }

    /// <summary>
    /// Gives the log files to use again, as a database has that has run for a while: while a new one is laid out, which a young database does every 16 MiB, all
    /// commits wait.
    /// </summary>
    public async Task AgeAsync()
    {
        for (var file = 0; file < AgedFiles; file++)
            await ExecuteAsync("select pg_logical_emit_message(false, 'age', ''); select pg_switch_wal()");
        await ExecuteAsync("checkpoint");
    }

    public async Task<string> CreateDatabaseAsync()
    {
        var name = $"faults_{Guid.NewGuid():N}";
        await ExecuteAsync($"create database {name}");
        return name;
    }

    /// <summary>All of its processes at once.</summary>
    public void Send(Signal signal) => process?.Send(signal, family: true);

    /// <summary>Only the postmaster: SIGINT is a fast shutdown.</summary>
    public void Ask(Signal signal) => process?.Send(signal);

    public Task ExitedAsync() => process?.ExitedAsync(TimeSpan.FromSeconds(60)) ?? Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (process is not null)
            await process.DisposeAsync();
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(ConnectionString(port, "postgres") + ";Pooling=false;Timeout=5");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Postgres refuses to run as root. setpriv replaces itself, so that the process we started is the postmaster.</summary>
    private static (string Program, string[] Arguments) AsPostgres(string program, params string[] arguments) => IsRoot
        ? ("setpriv", ["--reuid=postgres", "--regid=postgres", "--init-groups", program, .. arguments])
        : (program, arguments);
}
