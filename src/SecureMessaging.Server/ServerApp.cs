using System.Globalization;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Admin;
using SecureMessaging.Server.Cluster;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Doors.GraphQL;
using SecureMessaging.Server.Doors.Hub;
using SecureMessaging.Server.Doors.OpenApi;
using SecureMessaging.Server.Doors.Web;
using SecureMessaging.Server.Encryption;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Notifications;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Keys;
using SecureMessaging.Server.Platform.Startup;
using SecureMessaging.Server.Privacy;
using SecureMessaging.Server.Retention;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Server.Rooms;
using Serilog.Core;

namespace SecureMessaging.Server;

/// <summary>Composes the server: the table of contents of this project.</summary>
internal static partial class ServerApp
{
    private const string Usage = """
        Verbs: serve (the default), migrate, admin create USERNAME EMAIL, disclose USERNAME, adopt-database. Settings follow as --Section:Name=value.
        """;

    private const string Verbs = """
        secure-messaging [VERB] [--config FILE] [--Section:Name=value ...]

          serve                        runs the server (the default)
          migrate                      migrates the database, then exits
          admin create USERNAME EMAIL  creates an administrator account
          disclose USERNAME            prints all data stored about an account
          adopt-database               ties the keys to an empty or restored database
          --help, --version            prints this, or the version, then exits

        """;

    public static async Task<int> RunAsync(string[] args)
    {
        UnicodeText.ExpectIcu();
        try
        {
            if (Settings.AskForHelp(args))
                return await PrintAsync(Settings.Help(Verbs));
            return args switch
            {
                ["--version", ..] => await PrintAsync($"secure-messaging {ServerVersion.Current}\n"),
                ["serve", .. var rest] => await ServeAsync(rest),
                ["migrate", .. var rest] => await MigrateAsync(rest),
                [Installation.AdoptVerb, .. var rest] => await AdoptAsync(rest),
                ["admin", "create", .. var rest] => await AdminCommand.CreateAsync(rest, BuildForCommand),
                ["disclose", .. var rest] => await DiscloseCommand.RunAsync(rest, BuildForCommand),
                [['-' or '/', ..], ..] or [] => await ServeAsync(args),
                _ => throw new StartException(Usage),
            };
        }
        catch (Exception exception)
        {
            await Console.Error.WriteLineAsync(StartFailure.Describe(exception));
            return 1;
        }
    }

    private static async Task<int> PrintAsync(string text)
    {
        await Console.Out.WriteAsync(text);
        return 0;
    }

    private static async Task<int> ServeAsync(string[] args)
    {
        await using var app = Build(args);
        // Without this, garbage of the start stays in memory while the server is idle.
        app.Lifetime.ApplicationStarted.Register(() => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true));
        await app.StartAsync();
        if (app.Services.GetService<ManagementService>() is { Pages: { Count: > 0 } pages })
            await Console.Error.WriteLineAsync($"Try the API at {string.Join(" and ", pages)}");
        // Standard error, because standard output carries only the log. The last line, because it is for the operator.
        await Console.Error.WriteLineAsync(app.WhereToOpen());
        await app.WaitForShutdownAsync();
        return 0;
    }

    /// <summary>Ends after <see cref="Build"/>, which migrates the schema.</summary>
    private static async Task<int> MigrateAsync(string[] args)
    {
        await using var app = Build(args);
        await Console.Out.WriteLineAsync("The database is up to date.");
        return 0;
    }

    /// <summary>Ties existing keys to a database that they do not know: a new one after a loss, or a restored backup. Nothing else does so.</summary>
    private static async Task<int> AdoptAsync(string[] args)
    {
        await using var app = Build(args, adopt: true);
        await Console.Out.WriteLineAsync("The keys belong to this database now.");
        return 0;
    }

    private static WebApplication BuildForCommand(string[] args) => Build(["--Logs:Console=false", "--Management:Url=", .. args]);

    public static WebApplication Build(string[] args, Action<WebApplicationBuilder>? configure = null, ILogEventSink? logs = null, bool adopt = false)
    {
        UnicodeText.RequireIcu();
        // Numbers and dates do not depend on the language of the machine.
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.DefaultThreadCurrentUICulture = CultureInfo.InvariantCulture;
        CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = CultureInfo.InvariantCulture;
        var (settings, file) = Settings.Read(args);
        // Settings are read only at the start: watching files costs one inotify instance, and CPU time at each change in their directory.
        var builder = WebApplication.CreateSlimBuilder([.. settings, "--hostBuilder:reloadConfigOnChange=false"]);
        Settings.AddFiles(builder.Configuration, file);
        Settings.CheckValues(builder.Configuration);
        if (string.IsNullOrEmpty(builder.Configuration[WebHostDefaults.ServerUrlsKey]))
            builder.WebHost.UseUrls(ServerOptions.DefaultUrl);
        // Reads the certificate of an https address. It takes 100 ms of the start, so a configuration without one skips it.
        if (builder.Configuration.GetSection("Kestrel").GetChildren().Any())
            builder.WebHost.UseKestrelHttpsConfiguration();
        builder.AddLogs(logs);
        builder.AddDatabase();
        builder.AddKeys();
        builder.AddHttp();
        builder.AddHealth();
        builder.AddMetrics();
        builder.AddLimiting();
        builder.AddAuth();
        builder.AddAccounts();
        builder.AddRooms();
        builder.AddDevices();
        builder.AddHandshakes();
        builder.AddRedis();
        // Before the chat hub, whose registration overrides the hub protocols.
        builder.AddAdmin();
        // Services stop in reverse order: the writer finishes its queue while room delivery still runs.
        builder.AddDelivery();
        builder.AddCluster();
        builder.AddHub();
        builder.AddMessages();
        builder.AddNotifications();
        builder.AddRetention();
        builder.AddPrivacy();
        builder.AddOpenApiDocument();
        builder.AddGraphQL();
        builder.AddWeb();
        configure?.Invoke(builder);

        var app = builder.Build();
        try
        {
            Prepare(app, adopt);
        }
        catch
        {
            app.DisposeAsync().AsTask().GetAwaiter().GetResult();
            throw;
        }

        app.ConnectEvents();
        app.UseHubWebSockets();
        app.UseAnswerHeaders();
        app.UseCrossOrigin();
        app.UseWeb();
        app.UseHttp();
        app.UseHub();
        app.UseOrigins();
        app.UseAddressLimits();
        app.UseAuth();
        app.UseAccountLimits();
        app.UseBodyLimits();
        app.UseDevices();
        var endpoints = app.AnswerHead();
        endpoints.MapLimits();
        endpoints.MapHealth();
        endpoints.MapAuth();
        endpoints.MapAccounts();
        endpoints.MapNotifications();
        endpoints.MapPrivacy();
        endpoints.MapRooms();
        endpoints.MapMessages();
        endpoints.MapDevices();
        endpoints.MapHandshakes();
        endpoints.MapHub();
        endpoints.MapSignals();
        endpoints.MapAdmin();
        endpoints.MapDocuments();
        endpoints.MapGraphQL();
        endpoints.MapOpenApiDocument();
        return app;
    }

    /// <summary>Guarantees, for every verb, a current schema and keys that belong to the database.</summary>
    private static void Prepare(WebApplication app, bool adopt)
    {
        Settings.ReportUnknown((IConfigurationRoot)app.Configuration, app.Logger);
        app.Services.GetRequiredService<IStartupValidator>().Validate();
        var database = app.Services.GetRequiredService<Database>();
        database.Migrate(app.Logger);
        var installation = app.Services.GetRequiredService<Installation>();
        if (adopt)
            installation.Adopt();
        else
            installation.Check();
        var options = app.Services.GetRequiredService<IOptions<ServerOptions>>().Value;
        Starting(app.Logger, ServerVersion.Current, options.NodeName, database.IsPostgres ? "Postgres" : "SQLite", options.DataDirectory);
    }

    [LoggerMessage(1000, LogLevel.Information, "SecureMessaging {Version:l} on node {Node:l}: database {Engine:l}, data directory {DataDirectory}")]
    private static partial void Starting(ILogger logger, string version, string node, string engine, string dataDirectory);
}
