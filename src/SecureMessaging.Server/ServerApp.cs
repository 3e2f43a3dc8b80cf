using System.Globalization;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Admin;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Chat;
using SecureMessaging.Server.Devices;
using SecureMessaging.Server.Documents;
using SecureMessaging.Server.GraphQL;
using SecureMessaging.Server.Handshakes;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Notifications;
using SecureMessaging.Server.OpenApi;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Privacy;
using SecureMessaging.Server.Retention;
using SecureMessaging.Server.Rooms;
using SecureMessaging.Server.Web;
using Serilog.Core;

namespace SecureMessaging.Server;

/// <summary>Puts the server together; the table of contents of this project.</summary>
internal static partial class ServerApp
{
    private const string Usage = """
        Verbs: serve (the default), migrate, admin create USERNAME EMAIL, disclose USERNAME, adopt-database. Settings follow as --Section:Name=value.
        """;

    private const string Verbs = """
        secure-messaging [VERB] [--config FILE] [--Section:Name=value ...]

          serve                        runs the server (the default)
          migrate                      brings the database up to date, and ends
          admin create USERNAME EMAIL  makes an account that administers the server
          disclose USERNAME            prints everything that is held on an account
          adopt-database               ties the keys to an empty or restored database
          --help, --version            print this, or the version, and end

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
                ["admin", "create", .. var rest] => await AdminCommand.CreateAsync(rest),
                ["disclose", .. var rest] => await DiscloseCommand.RunAsync(rest),
                [['-' or '/', ..], ..] or [] => await ServeAsync(args),
                _ => throw new StartException(Usage),
            };
        }
        catch (Exception exception)
        {
            // Past the start nothing is thrown to here.
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
        // What starting leaves behind would stay in memory for as long as the server idles.
        app.Lifetime.ApplicationStarted.Register(() => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true));
        await app.StartAsync();
        if (app.Services.GetService<ManagementService>() is { Pages: { Count: > 0 } pages })
            await Console.Error.WriteLineAsync($"Try the API at {string.Join(" and ", pages)}");
        // For the person who started it, and so the last line. Standard output holds the log alone.
        await Console.Error.WriteLineAsync(app.WhereToOpen());
        await app.WaitForShutdownAsync();
        return 0;
    }

    /// <summary>Building brings the schema up to date; this ends there.</summary>
    private static async Task<int> MigrateAsync(string[] args)
    {
        await using var app = Build(args);
        await Console.Out.WriteLineAsync("The database is up to date.");
        return 0;
    }

    /// <summary>After the loss of a database, or the restore of an older one: nothing else ties existing keys to a database that they do not know.</summary>
    private static async Task<int> AdoptAsync(string[] args)
    {
        await using var app = Build(args, adopt: true);
        await Console.Out.WriteLineAsync("The keys belong to this database now.");
        return 0;
    }

    /// <param name="args">Command line.</param>
    /// <param name="configure">Lets tests replace what they must, such as the clock.</param>
    /// <param name="logs">An additional destination of the logs.</param>
    /// <param name="adopt">Whether the keys are to be tied to a database that they do not know.</param>
    public static WebApplication Build(string[] args, Action<WebApplicationBuilder>? configure = null, ILogEventSink? logs = null, bool adopt = false)
    {
        UnicodeText.RequireIcu();
        // Numbers and dates look the same wherever the server runs.
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.DefaultThreadCurrentUICulture = CultureInfo.InvariantCulture;
        CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = CultureInfo.InvariantCulture;
        var (settings, file) = Settings.Read(args);
        // Settings are read once, at the start: watching files would cost an inotify instance, and CPU whenever something changes beside them.
        var builder = WebApplication.CreateSlimBuilder([.. settings, "--hostBuilder:reloadConfigOnChange=false"]);
        Settings.AddFiles(builder.Configuration, file);
        Settings.CheckValues(builder.Configuration);
        if (string.IsNullOrEmpty(builder.Configuration[WebHostDefaults.ServerUrlsKey]))
            builder.WebHost.UseUrls(ServerOptions.DefaultUrl);
        // Reads the certificate of an https address; without one, a hundred milliseconds of the start for nothing.
        if (builder.Configuration.GetSection("Kestrel").GetChildren().Any())
            builder.WebHost.UseKestrelHttpsConfiguration();
        builder.AddLogs(logs);
        builder.AddPlatform();
        builder.AddHealth();
        builder.AddMetrics();
        builder.AddLimiting();
        builder.AddAuth();
        builder.AddAccounts();
        builder.AddRooms();
        builder.AddDevices();
        builder.AddHandshakes();
        // Before the chat, which has the last word on the hub protocols.
        builder.AddAdmin();
        // Stopped in the reverse order: the writer finishes its queue while the tails still deliver.
        builder.AddChat();
        builder.AddMessages();
        builder.AddNotifications();
        builder.AddRetention();
        builder.AddPrivacy();
        builder.AddGraphQL();
        builder.AddOpenApiDocument();
        builder.AddWeb();
        configure?.Invoke(builder);

        var app = builder.Build();
        try
        {
            Prepare(app, adopt);
        }
        catch
        {
            // Lets go of the data directory.
            app.DisposeAsync().AsTask().GetAwaiter().GetResult();
            throw;
        }

        app.UseHubSockets();
        app.UseAnswerHeaders();
        app.UseCrossOrigin();
        app.UseWeb();
        app.UsePlatform();
        app.UseChat();
        app.UseOrigins();
        app.UseAddressLimits();
        app.UseAuth();
        app.UseAccountLimits();
        app.UseBodyLimits();
        app.UseDevices();
        var endpoints = app.AnswerHead();
        endpoints.MapPlatform();
        endpoints.MapHealth();
        endpoints.MapAuth();
        endpoints.MapAccounts();
        endpoints.MapNotifications();
        endpoints.MapPrivacy();
        endpoints.MapRooms();
        endpoints.MapMessages();
        endpoints.MapDevices();
        endpoints.MapHandshakes();
        endpoints.MapChat();
        endpoints.MapAdmin();
        endpoints.MapDocuments();
        endpoints.MapGraphQL();
        endpoints.MapOpenApiDocument();
        return app;
    }

    /// <summary>What every verb needs: a schema that is up to date, and keys that belong to the database.</summary>
    private static void Prepare(WebApplication app, bool adopt)
    {
        Settings.ReportUnknown((IConfigurationRoot)app.Configuration, app.Logger);
        // Before anything is changed.
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
