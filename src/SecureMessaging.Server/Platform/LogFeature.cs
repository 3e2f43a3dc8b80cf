using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Compact;

namespace SecureMessaging.Server.Platform;

/// <summary>Structured logs: one JSON object a line on standard output, for a person when a terminal is attached, and in a rolling file when asked.</summary>
/// <remarks>Each line has the node's name and the version of the product, so that lines of several nodes can be told apart in one place.</remarks>
internal static class LogFeature
{
    private static readonly string[] Chatty = ["Microsoft", "System", "Npgsql", "StackExchange"];

    public static void AddLogs(this WebApplicationBuilder builder, ILogEventSink? additional = null)
    {
        var options = builder.Configuration.GetSection(LogOptions.Section).Get<LogOptions>() ?? new LogOptions();
        var configuration = new LoggerConfiguration().MinimumLevel.Is(options.Level);
        // The default has random characters; it is chosen here, before the first line.
        const string NodeName = $"{ServerOptions.Section}:{nameof(ServerOptions.NodeName)}";
        if (string.IsNullOrEmpty(builder.Configuration[NodeName]))
            builder.Configuration[NodeName] = ServerOptions.DefaultNodeName();
        configuration.Enrich.WithProperty("Node", builder.Configuration[NodeName]).Enrich.WithProperty("Version", ServerVersion.Current);
        foreach (var source in Chatty)
            configuration.MinimumLevel.Override(source, LogEventLevel.Warning);
        configuration.MinimumLevel.Override("Microsoft.Hosting.Lifetime", LogEventLevel.Information);
        // What keeps the server from starting is told as one sentence.
        configuration.Filter.ByExcluding(line => line.Exception is not null
            && line.Properties.TryGetValue(Constants.SourceContextPropertyName, out var source) && source is ScalarValue { Value: "Microsoft.Extensions.Hosting.Internal.Host" }
            && line.MessageTemplate.Text.StartsWith("Hosting failed to start", StringComparison.Ordinal));
        // A feature's refusal passes through libraries, which log it with a stack for each request. What it means is logged where it is thrown, once a minute.
        configuration.Filter.ByExcluding(line => line.Exception is ApiException
            && line.Properties.TryGetValue(Constants.SourceContextPropertyName, out var source) && source is ScalarValue { Value: string name }
            && !name.StartsWith("SecureMessaging.", StringComparison.Ordinal));
        // One line for each probe of a node that is not healthy. ReadinessLog says what has changed.
        configuration.MinimumLevel.Override("Microsoft.Extensions.Diagnostics.HealthChecks", LevelAlias.Off);
        // Every refusal would be an error here; the hub's own filter logs what truly failed.
        configuration.MinimumLevel.Override("Microsoft.AspNetCore.SignalR.Internal.DefaultHubDispatcher", LevelAlias.Off);
        // Tells a lost Redis as an error with its address and a stack; the node says it in a sentence of its own.
        configuration.MinimumLevel.Override("Microsoft.AspNetCore.SignalR.StackExchangeRedis", LevelAlias.Off);
        // Logs each refused ticket twice, which any client can cause; SecurityEvents counts them.
        configuration.MinimumLevel.Override("SecureMessaging.Server.Auth.TicketHandler", LogEventLevel.Warning);
        // Its warnings on a failed sign-in or upgrade name the request.
        configuration.MinimumLevel.Override("Microsoft.AspNetCore.Server.Kestrel", LogEventLevel.Error);
        if (options.Console && Console.IsOutputRedirected)
            configuration.WriteTo.Console(new RenderedCompactJsonFormatter());
        else if (options.Console)
            configuration.WriteTo.Console(outputTemplate: "{Timestamp:HH:mm:ss} {Level:u3} {Message:lj}{NewLine}{Exception}");
        if (options.File is { Length: > 0 } file)
        {
            RequireWritable(file);
            configuration.WriteTo.File(new RenderedCompactJsonFormatter(), file, rollingInterval: RollingInterval.Day, retainedFileCountLimit: LogOptions.FileDays);
        }

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

    /// <summary>The sink says nothing when it cannot write.</summary>
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

    /// <summary>Takes out what the framework's scopes add to every line of a request: its path may name people.</summary>
    private sealed class Nameless : ILogEventEnricher
    {
        public void Enrich(LogEvent logEvent, ILogEventPropertyFactory propertyFactory) => logEvent.RemovePropertyIfPresent("RequestPath");
    }
}
