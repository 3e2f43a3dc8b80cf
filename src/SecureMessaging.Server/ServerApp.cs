using Microsoft.Extensions.Options;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server;

/// <summary>Puts the server together; the table of contents of this project.</summary>
internal static partial class ServerApp
{
    public static async Task<int> RunAsync(string[] args)
    {
        await using var app = Build(args);
        await app.RunAsync();
        return 0;
    }

    /// <param name="args">Command line.</param>
    /// <param name="configure">Lets tests replace what they must, such as the clock.</param>
    public static WebApplication Build(string[] args, Action<WebApplicationBuilder>? configure = null)
    {
        var builder = WebApplication.CreateSlimBuilder(args);
        builder.AddPlatform();
        builder.AddAuth();
        builder.AddAccounts();
        configure?.Invoke(builder);

        var app = builder.Build();
        Start(app);
        app.UsePlatform();
        app.UseAuth();
        app.MapPlatform();
        app.MapAuth();
        app.MapAccounts();
        return app;
    }

    private static void Start(WebApplication app)
    {
        var database = app.Services.GetRequiredService<Database>();
        database.Migrate(app.Logger);
        Starting(app.Logger, database.IsPostgres ? "Postgres" : "SQLite", app.Services.GetRequiredService<IOptions<ServerOptions>>().Value.DataDirectory);
    }

    [LoggerMessage(1000, LogLevel.Information, "Database {Engine}, data directory {DataDirectory}")]
    private static partial void Starting(ILogger logger, string engine, string dataDirectory);
}
