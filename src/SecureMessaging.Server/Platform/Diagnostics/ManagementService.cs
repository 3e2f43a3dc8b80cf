using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using OpenTelemetry.Metrics;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Startup;

namespace SecureMessaging.Server.Platform.Diagnostics;

/// <summary>
/// Serves <c>/metrics</c>, <c>/health</c> with reasons, and pages for developers. Its listener and port are its own: neither a Host header nor a
/// proxy in front of the public port reaches it.
/// </summary>
/// <remarks>If the port is taken and was not configured, the server starts without it, so that two servers on one machine both start.</remarks>
internal sealed partial class ManagementService(
    MeterProvider meters, HealthCheckService checks, IEnumerable<IManagementPage> pages, ManagementOrigins origins, IOptions<ManagementOptions> options,
    IOptions<ServerOptions> server, IConfiguration configuration, ILogger<ManagementService> logger)
    : IHostedService, IAsyncDisposable
{
    private WebApplication? app;

    /// <summary>The address; null if it does not listen.</summary>
    public string? Address => app?.Urls.FirstOrDefault();

    public IReadOnlyList<string> Pages { get; private set; } = [];

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var url = options.Value.Url;
        if (url.Length == 0)
            return;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls(url).ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        builder.Services.AddOptions().AddRouting().AddSingleton(checks);
        var management = builder.Build();
        var shown = pages.Where(page => page.Path is not null).ToList();
        management.UseAnswerHeaders();
        management.UseOpenTelemetryPrometheusScrapingEndpoint(meters, null, "/metrics", null, null);
        shown.ForEach(page => page.Map(management));
        management.MapGet("/favicon.ico", () => TypedResults.NoContent());
        management.MapHealthChecks("/health", new() { ResponseWriter = WriteHealthAsync, AllowCachingResponses = true });
        try
        {
            await management.StartAsync(cancellationToken);
            app = management;
            Serving(logger, Address);
            Pages = [.. shown.Select(page => Address + page.Path)];
            foreach (var page in Pages)
                ServingPage(logger, page);
            if (Pages.Count > 0)
                origins.Set(OriginsOf(new Uri(Address!)));
        }
        catch (IOException exception) when (exception.InnerException is AddressInUseException)
        {
            await management.DisposeAsync();
            if (configuration[$"{ManagementOptions.Section}:{nameof(ManagementOptions.Url)}"] is not null)
                throw new StartException($"Management:Url {url} is in use. Give this server another, or an empty one for no metrics.", exception);
            PortTaken(logger, url);
        }
    }

    private Task WriteHealthAsync(HttpContext context, HealthReport report)
    {
        var health = new NodeHealth(
            HealthFeature.Name(report.Status), server.Value.NodeName, ServerVersion.Current,
            report.Entries.ToDictionary(
                entry => entry.Key, entry => new CheckHealth(HealthFeature.Name(entry.Value.Status), entry.Value.Description), StringComparer.Ordinal));
        return context.Response.WriteAsJsonAsync(health, Wire.Json, context.RequestAborted);
    }

    public Task StopAsync(CancellationToken cancellationToken) => app?.StopAsync(cancellationToken) ?? Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (app is { } running)
            await running.DisposeAsync();
    }

    /// <summary>A browser has three names for a loopback address. On a wildcard address the host is unknown, so no origin is allowed.</summary>
    private static IEnumerable<string> OriginsOf(Uri address) =>
        (address.IsLoopback ? ["127.0.0.1", "localhost", "[::1]"] : address.Host is "0.0.0.0" or "[::]" ? [] : new[] { address.Host })
        .Select(host => new Uri($"{address.Scheme}://{host}:{address.Port}").GetLeftPart(UriPartial.Authority));

    [LoggerMessage(1100, LogLevel.Information, "Metrics are served at {Url}/metrics")]
    private static partial void Serving(ILogger logger, string? url);

    [LoggerMessage(1102, LogLevel.Information, "The API can be tried at {Url}")]
    private static partial void ServingPage(ILogger logger, string url);

    [LoggerMessage(1101, LogLevel.Warning, "{Url} is in use: no metrics are served; set Management:Url")]
    private static partial void PortTaken(ILogger logger, string url);
}

/// <summary>The state of a node, for its operator.</summary>
/// <param name="Status">healthy, degraded or unhealthy: the worst of the checks.</param>
/// <param name="Node">The node's name.</param>
/// <param name="Version">The product's version.</param>
/// <param name="Checks">Each check, by its name.</param>
internal sealed record NodeHealth(string Status, string Node, string Version, Dictionary<string, CheckHealth> Checks);

/// <param name="Status">healthy, degraded or unhealthy.</param>
/// <param name="Reason">A sentence that tells the operator what to do.</param>
internal sealed record CheckHealth(string Status, string? Reason);
