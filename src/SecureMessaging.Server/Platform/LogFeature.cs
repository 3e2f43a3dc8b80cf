using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Compact;

namespace SecureMessaging.Server.Platform;

/// <summary>Structured logs: one JSON object a line on standard output, for a person when a terminal is attached, and in a rolling file when asked.</summary>
/// <remarks>
/// Settings: <c>Logs:Level</c> (default Information), <c>Logs:Console</c> (default true) and <c>Logs:File</c> (a path; none by default). The framework's own
/// lines stay at Warning whatever the level: they carry addresses and query strings.
/// </remarks>
internal static class LogFeature
{
    private static readonly string[] Chatty = ["Microsoft", "System", "Npgsql", "StackExchange"];

    public static void AddLogs(this WebApplicationBuilder builder, ILogEventSink? additional = null)
    {
        var section = builder.Configuration.GetSection("Logs");
        var configuration = new LoggerConfiguration().MinimumLevel.Is(section.GetValue("Level", LogEventLevel.Information));
        foreach (var source in Chatty)
            configuration.MinimumLevel.Override(source, LogEventLevel.Warning);
        configuration.MinimumLevel.Override("Microsoft.Hosting.Lifetime", LogEventLevel.Information);
        // What keeps the server from starting is told as one sentence.
        configuration.Filter.ByExcluding(line => line.Exception is not null
            && line.Properties.TryGetValue(Constants.SourceContextPropertyName, out var source) && source is ScalarValue { Value: "Microsoft.Extensions.Hosting.Internal.Host" }
            && line.MessageTemplate.Text.StartsWith("Hosting failed to start", StringComparison.Ordinal));
        // Every refusal would be an error here; the hub's own filter logs what truly failed.
        configuration.MinimumLevel.Override("Microsoft.AspNetCore.SignalR.Internal.DefaultHubDispatcher", LevelAlias.Off);
        // Tells a lost Redis as an error with its address and a stack; the node says it in a sentence of its own.
        configuration.MinimumLevel.Override("Microsoft.AspNetCore.SignalR.StackExchangeRedis", LevelAlias.Off);
        // Its warnings on a failed sign-in or upgrade name the request.
        configuration.MinimumLevel.Override("Microsoft.AspNetCore.Server.Kestrel", LogEventLevel.Error);
        var console = section.GetValue("Console", true);
        if (console && Console.IsOutputRedirected)
            configuration.WriteTo.Console(new RenderedCompactJsonFormatter());
        else if (console)
            configuration.WriteTo.Console(outputTemplate: "{Timestamp:HH:mm:ss} {Level:u3} {Message:lj}{NewLine}{Exception}");
        if (section.GetValue<string>("File") is { Length: > 0 } file)
            configuration.WriteTo.File(new RenderedCompactJsonFormatter(), file, rollingInterval: RollingInterval.Day, retainedFileCountLimit: 7);
        if (additional is not null)
            configuration.WriteTo.Sink(additional);
        configuration.Enrich.With<Nameless>();
        var live = new LiveLog();
        configuration.WriteTo.Sink(live);
        builder.Services.AddSingleton(live);
        // Behind the framework's factory, which makes one logger a category. Serilog's own makes one each time it is asked: four for each connection, alive as long as it.
        builder.Logging.ClearProviders().AddSerilog(configuration.CreateLogger(), dispose: true);
        // That factory would add the ids of a request's spans to each line, which Serilog does by itself.
        builder.Logging.Configure(options => options.ActivityTrackingOptions = ActivityTrackingOptions.None);
    }

    /// <summary>Takes out what the framework's scopes add to every line of a request: its path may name people.</summary>
    private sealed class Nameless : ILogEventEnricher
    {
        public void Enrich(LogEvent logEvent, ILogEventPropertyFactory propertyFactory) => logEvent.RemovePropertyIfPresent("RequestPath");
    }
}
