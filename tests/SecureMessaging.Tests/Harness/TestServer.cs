using Dapper;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using SecureMessaging.Server;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform.Data;

namespace SecureMessaging.Tests.Harness;

/// <summary>
/// The real server in this process, on 127.0.0.1, with its own data directory and database. All tests share one per engine; a test that moves the
/// clock, restarts or reconfigures the server uses a dedicated one.
/// </summary>
public abstract class TestServer : IAsyncLifetime
{
    private readonly TestDirectory directory = new();
    private readonly bool dedicated;
    private TestServer? sharing;
    private string[] arguments = [];
    private Action<WebApplicationBuilder>? configure;
    private WebApplication? app;
    private HttpClient? http;
    private int port;

    protected TestServer(bool dedicated = false)
    {
        this.dedicated = dedicated;
        Time = new AdjustableTime(shared: !dedicated);
    }

    /// <summary>SQLite or Postgres.</summary>
    public abstract string Engine { get; }

    /// <summary>Null on SQLite.</summary>
    public abstract string? PostgresConnection { get; }

    public Uri Url => port != 0 ? new($"http://127.0.0.1:{port}") : throw NotStarted();

    /// <summary>Without credentials.</summary>
    public HttpClient Http => http ?? throw NotStarted();

    public string DataDirectory => directory.Path;

    public AdjustableTime Time { get; }

    public CapturedLogs Logs { get; } = [];

    internal IServiceProvider Services => app?.Services ?? throw NotStarted();

    internal Database Database => Services.GetRequiredService<Database>();

    public async ValueTask InitializeAsync()
    {
        // Without its engine a shared server fails only the tests that use it: tests/run.sh --quick starts no Postgres.
        if (!dedicated && Missing is not null)
            return;
        await CreateDatabaseAsync();
        await StartAsync();
    }

    /// <summary>Starts on the same data and, after the first time, on the same port.</summary>
    public async Task StartAsync()
    {
        // A dedicated server may restart while its clients hold connections, so its port must not be one that they could get.
        if (port == 0 && dedicated)
            port = Ports.Take();
        app = ServerApp.Build(
            [
                $"--urls=http://127.0.0.1:{port}",
                $"--Server:DataDirectory={DataDirectory}",
                $"--Server:KeyDirectory={(sharing ?? this).directory.Combine("keys")}",
                $"--ConnectionStrings:Postgres={PostgresConnection}",
                "--Logs:Console=false",
                "--Management:Url=",
                // All tests come from one address at the same time; tests of limits set their own.
                "--RateLimits:Enabled=false",
                .. arguments,
            ],
            builder =>
            {
                builder.Services.Replace(ServiceDescriptor.Singleton<TimeProvider>(Time));
                if (!arguments.Any(argument => argument.StartsWith("--Auth:Hash", StringComparison.Ordinal)))
                    builder.Services.AddSingleton(WithCheapHashes);
                configure?.Invoke(builder);
            },
            Logs);
        await app.StartAsync();
        port = new Uri(app.Urls.Single()).Port;
        http = new HttpClient(new DocumentedReplies()) { BaseAddress = Url };
    }

    public async Task StopAsync()
    {
        if (app is null)
            return;
        Http.Dispose();
        await app.StopAsync();
        await app.DisposeAsync();
        app = null;
    }

    public async Task RestartAsync()
    {
        await StopAsync();
        await StartAsync();
    }

    /// <summary>A started server of the same engine with its own data, for one test. Dispose it.</summary>
    public Task<TestServer> DedicatedAsync(params string[] args) => DedicatedAsync(null, args);

    /// <inheritdoc cref="DedicatedAsync(string[])"/>
    public Task<TestServer> DedicatedAsync(Action<WebApplicationBuilder>? configuration, params string[] args) =>
        StartNewAsync(CreateDedicated(null), configuration, args);

    /// <summary>A started second node on this server's database and keys (Postgres only). Dispose it before this one.</summary>
    public async Task<TestServer> AnotherNodeAsync(params string[] args)
    {
        var node = CreateDedicated(this);
        node.sharing = this;
        return await StartNewAsync(node, null, args);
    }

    /// <summary>The first column of the first row.</summary>
    public Task<T?> ScalarAsync<T>(string sql, object? parameters = null) =>
        Database.ReadAsync(connection => connection.ExecuteScalarAsync<T>(sql, parameters), CancellationToken.None);

    /// <summary>All rows.</summary>
    public Task<List<T>> RowsAsync<T>(string sql, object? parameters = null) =>
        Database.ReadAsync(connection => connection.QueryAsync<T>(sql, parameters, CancellationToken.None), CancellationToken.None);

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await DropDatabaseAsync();
        directory.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>The reason if this machine has no such engine.</summary>
    protected virtual string? Missing => null;

    protected abstract Task CreateDatabaseAsync();

    protected abstract Task DropDatabaseAsync();

    protected abstract TestServer CreateDedicated(TestServer? sharing);

    private InvalidOperationException NotStarted() => new(Missing ?? "The server is stopped.");

    /// <summary>Thousands of people sign up in these tests. A test of the hash or its time sets one of its options.</summary>
    private static IOptions<AuthOptions> WithCheapHashes(IServiceProvider services)
    {
        var options = services.GetRequiredService<IOptionsFactory<AuthOptions>>().Create(Options.DefaultName);
        (options.HashMemoryKiB, options.HashPasses) = (64, 1);
        return Options.Create(options);
    }

    private static async Task<TestServer> StartNewAsync(TestServer server, Action<WebApplicationBuilder>? configuration, string[] args)
    {
        server.arguments = args;
        server.configure = configuration;
        try
        {
            await server.InitializeAsync();
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }
}
