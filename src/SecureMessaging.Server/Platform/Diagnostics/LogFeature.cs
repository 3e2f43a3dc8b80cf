using SecureMessaging.Server.Platform.Startup;
using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Compact;
using Serilog.Parsing;

namespace SecureMessaging.Server.Platform.Diagnostics;

/// <summary>Structured logs: JSON lines on redirected standard output, readable text on a terminal, and optionally a rolling file.</summary>
/// <remarks>Each line has the node's name and the product's version, to distinguish lines of several nodes.</remarks>
internal static class LogFeature
{
    private static readonly string[] Chatty = ["Microsoft", "System", "Npgsql", "StackExchange"];

    public static void AddLogs(this WebApplicationBuilder builder, ILogEventSink? additional = null)
    {
        var options = builder.Configuration.GetSection(LogOptions.Section).Get<LogOptions>() ?? new LogOptions();
        var configuration = new LoggerConfiguration().MinimumLevel.Is(options.Level);
        // The default contains random characters, so it is fixed here, before the first line.
        const string nodeName = $"{ServerOptions.Section}:{nameof(ServerOptions.NodeName)}";
        if (string.IsNullOrEmpty(builder.Configuration[nodeName]))
            builder.Configuration[nodeName] = ServerOptions.DefaultNodeName();
        configuration.Enrich.WithProperty("Node", builder.Configuration[nodeName]).Enrich.WithProperty("Version", ServerVersion.Current);
        foreach (var source in Chatty)
            configuration.MinimumLevel.Override(source, LogEventLevel.Warning);
        configuration.MinimumLevel.Override("Microsoft.Hosting.Lifetime", LogEventLevel.Information);
        // StartFailure reports a failed start as one sentence.
        configuration.Filter.ByExcluding(line => line.Exception is not null
            && line.Properties.TryGetValue(Constants.SourceContextPropertyName, out var source)
            && source is ScalarValue { Value: "Microsoft.Extensions.Hosting.Internal.Host" }
            && line.MessageTemplate.Text.StartsWith("Hosting failed to start", StringComparison.Ordinal));
        // Libraries log each ApiException that passes through them with a stack trace. The feature that throws it logs its cause once a minute.
        configuration.Filter.ByExcluding(line => line.Exception is ApiException
            && line.Properties.TryGetValue(Constants.SourceContextPropertyName, out var source) && source is ScalarValue { Value: string name }
            && !name.StartsWith("SecureMessaging.", StringComparison.Ordinal));
        // It writes one line per probe of an unhealthy node. ReadinessLog writes changes.
        configuration.MinimumLevel.Override("Microsoft.Extensions.Diagnostics.HealthChecks", LevelAlias.Off);
        // It logs every ApiException as an error. HubErrors logs the real failures.
        configuration.MinimumLevel.Override("Microsoft.AspNetCore.SignalR.Internal.DefaultHubDispatcher", LevelAlias.Off);
        // It logs a lost Redis as an error with address and stack trace. The node logs it in one sentence.
        configuration.MinimumLevel.Override("Microsoft.AspNetCore.SignalR.StackExchangeRedis", LevelAlias.Off);
        // It logs each rejected ticket twice, and any client can cause that. SecurityEvents counts them.
        configuration.MinimumLevel.Override("SecureMessaging.Server.Accounts.TicketHandler", LogEventLevel.Warning);
        // Its warnings about failed sign-ins and upgrades contain the request.
        configuration.MinimumLevel.Override("Microsoft.AspNetCore.Server.Kestrel", LogEventLevel.Error);
        if (options.Console && Console.IsOutputRedirected)
            configuration.WriteTo.Console(new RenderedCompactJsonFormatter());
        else if (options.Console)
            configuration.WriteTo.Console(outputTemplate: "{Timestamp:HH:mm:ss} {Level:u3} {Message:lj}{NewLine}{Exception}");
        if (options.File is { Length: > 0 } file)
        {
            RequireWritable(file);
            configuration.WriteTo.File(
                new RenderedCompactJsonFormatter(), file, rollingInterval: RollingInterval.Day, retainedFileCountLimit: LogOptions.FileDays);
        }

        if (additional is not null)
            configuration.WriteTo.Sink(additional);
        configuration.Enrich.With<Declared>();
        var live = new LiveLog();
        configuration.WriteTo.Sink(live);
        builder.Services.AddSingleton(live);
        // Behind the framework's factory, which creates one logger per category. Serilog's own creates one per request for a logger: four for each
        // connection.
        builder.Logging.ClearProviders().AddSerilog(configuration.CreateLogger(), dispose: true);
        // The framework would add span ids to each line, as Serilog already does.
        builder.Logging.Configure(options => options.ActivityTrackingOptions = ActivityTrackingOptions.None);
    }

    /// <summary>Checks at the start, because the sink fails silently when it cannot write.</summary>
    private static void RequireWritable(string file)
    {
        try
        {
            var directory = Path.GetDirectoryName(Path.GetFullPath(file)) ?? throw new IOException("it is a directory.");
            Directory.CreateDirectory(directory);
            File.Create(Path.Combine(directory, $".{Guid.NewGuid():N}"), bufferSize: 1, FileOptions.DeleteOnClose).Dispose();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new StartException($"Logs:File {file} cannot be written: {exception.Message}", exception);
        }
    }

    /// <summary>
    /// Removes the properties that the framework adds to every line of a request or connection: its path may contain names of people, and the ids of
    /// connections belong to people too.
    /// </summary>
    private sealed class Declared : ILogEventEnricher
    {
        private static readonly string[] OfEveryLine = ["Node", "Version", "EventId", Constants.SourceContextPropertyName];

        public void Enrich(LogEvent logEvent, ILogEventPropertyFactory propertyFactory)
        {
            var named = logEvent.MessageTemplate.Tokens.OfType<PropertyToken>().Select(token => token.PropertyName);
            foreach (var name in logEvent.Properties.Keys.Except(named.Concat(OfEveryLine), StringComparer.Ordinal).ToArray())
                logEvent.RemovePropertyIfPresent(name);
        }
    }
}
