using System.Collections.Frozen;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using OpenTelemetry.Metrics;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Platform;

/// <summary>
/// Serves <c>/metrics</c>, <c>/health</c> with the reasons that the public port does not tell, and the pages for developers, on a port of its own, by a listener of its
/// own: no Host header and no proxy in front of the public port leads there.
/// </summary>
/// <remarks>Two servers on one machine both start: when nobody chose the port and it is taken, the second goes on without.</remarks>
internal sealed partial class ManagementService(
    MeterProvider meters, HealthCheckService checks, IEnumerable<IManagementPage> pages, IOptions<ManagementOptions> options, IOptions<ServerOptions> server,
    IConfiguration configuration, ILogger<ManagementService> logger)
    : IHostedService, IAsyncDisposable
{
    private WebApplication? app;

    /// <summary>Where it listens; null when it does not.</summary>
    public string? Address => app?.Urls.FirstOrDefault();

    /// <summary>The addresses of the pages for developers.</summary>
    public IReadOnlyList<string> Pages { get; private set; } = [];

    /// <summary>The origins of the pages, which may call the API. On the loopback address a browser has three names for it; on a wildcard its name is unknown, and there is none.</summary>
    public IReadOnlySet<string> Origins { get; private set; } = FrozenSet<string>.Empty;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var url = options.Value.Url;
        if (url.Length == 0)
            return;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls(url).ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        builder.Services.AddOptions().AddRouting();
        var management = builder.Build();
        var shown = pages.Where(page => page.Path is not null).ToList();
        management.UseAnswerHeaders();
        management.UseOpenTelemetryPrometheusScrapingEndpoint(meters, null, "/metrics", null, null);
        management.UseRouting();
#pragma warning disable ASP0014 // The refusal below must stand behind the endpoints.
        management.UseEndpoints(endpoints =>
        {
            shown.ForEach(page => page.Map(endpoints));
            // Browsers ask for it, and say on the page's console when it is not there.
            endpoints.MapGet("/favicon.ico", () => TypedResults.NoContent());
        });
#pragma warning restore ASP0014
        management.Run(context =>
        {
            if (context.Request.Path == "/health")
                return WriteHealthAsync(context);
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        });
        try
        {
            await management.StartAsync(cancellationToken);
            app = management;
            Serving(logger, Address);
            Pages = [.. shown.Select(page => Address + page.Path)];
            foreach (var page in Pages)
                ServingPage(logger, page);
            if (Pages.Count > 0)
                Origins = OriginsOf(new Uri(Address!)).ToFrozenSet(StringComparer.Ordinal);
        }
        catch (IOException exception) when (exception.InnerException is AddressInUseException)
        {
            await management.DisposeAsync();
            if (configuration[$"{ManagementOptions.Section}:{nameof(ManagementOptions.Url)}"] is not null)
                throw new StartException($"Management:Url {url} is in use. Give this server another, or an empty one for no metrics.", exception);
            PortTaken(logger, url);
        }
    }

    private async Task WriteHealthAsync(HttpContext context)
    {
        var report = await checks.CheckHealthAsync(context.RequestAborted);
        var health = new NodeHealth(
            HealthFeature.Name(report.Status), server.Value.NodeName, ServerVersion.Current,
            report.Entries.ToDictionary(
                entry => entry.Key, entry => new CheckHealth(HealthFeature.Name(entry.Value.Status), entry.Value.Description), StringComparer.Ordinal));
        context.Response.StatusCode = report.Status == HealthStatus.Unhealthy ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK;
        await context.Response.WriteAsJsonAsync(health, Wire.Json, context.RequestAborted);
    }

    public Task StopAsync(CancellationToken cancellationToken) => app?.StopAsync(cancellationToken) ?? Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (app is { } running)
            await running.DisposeAsync();
    }

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

/// <summary>How a node is, for its operator.</summary>
/// <param name="Status">healthy, degraded or unhealthy: the worst of the checks.</param>
/// <param name="Node">What the node is called.</param>
/// <param name="Version">Which version it runs.</param>
/// <param name="Checks">Each check, by its name.</param>
internal sealed record NodeHealth(string Status, string Node, string Version, Dictionary<string, CheckHealth> Checks);

/// <param name="Status">healthy, degraded or unhealthy.</param>
/// <param name="Reason">A sentence that says what to do.</param>
internal sealed record CheckHealth(string Status, string? Reason);
