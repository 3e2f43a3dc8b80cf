using Microsoft.Extensions.Options;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using SecureMessaging.Server.Platform.Startup;

namespace SecureMessaging.Server.Platform.Diagnostics;

/// <summary>OpenTelemetry metrics: for Prometheus on a separate port, and by OTLP if <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> is set.</summary>
internal static class MetricsFeature
{
    public static void AddMetrics(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddMetrics();
        services.AddSingleton<ServerMetrics>();
        services.AddOptions<ManagementOptions>().BindConfiguration(ManagementOptions.Section);
        var pulled = builder.Configuration[$"{ManagementOptions.Section}:{nameof(ManagementOptions.Url)}"] is not "";
        var pushed = !string.IsNullOrEmpty(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        if (!pulled && !pushed)
            return;
        services.AddOpenTelemetry().WithMetrics(metrics =>
        {
            metrics.AddMeter(ServerMetrics.MeterName).AddAspNetCoreInstrumentation().AddRuntimeInstrumentation();
            // Counted several times per message, and useful only to developers of Kestrel.
            metrics.AddView(instrument => instrument.Meter.Name == "Microsoft.AspNetCore.MemoryPool" ? MetricStreamConfiguration.Drop : null);
            if (pulled)
                metrics.AddPrometheusExporter();
            if (pushed)
                metrics.AddOtlpExporter();
        });
        services.ConfigureOpenTelemetryMeterProvider((provider, metrics) => metrics.ConfigureResource(resource => resource.AddService(
            "secure-messaging", serviceInstanceId: provider.GetRequiredService<IOptions<ServerOptions>>().Value.NodeName)));
        if (!pulled)
            return;
        services.AddSingleton<ApiAddress>();
        services.AddSingleton<ManagementService>();
        services.AddHostedService(provider => provider.GetRequiredService<ManagementService>());
    }
}

/// <summary>The address for operators' tools. Section <c>Management</c>.</summary>
internal sealed class ManagementOptions
{
    public const string Section = "Management";

    public const string DefaultUrl = "http://127.0.0.1:5081";

    /// <summary>The address of <c>/metrics</c>, <c>/health</c> and the playgrounds. It must not be public. Empty: disabled.</summary>
    public string Url { get; set; } = DefaultUrl;
}
