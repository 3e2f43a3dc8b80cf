using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.StackExchangeRedis;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Admin.LiveLogs;
using SecureMessaging.Server.Cluster;

namespace SecureMessaging.Server.Admin;

/// <summary>Administration of the server: accounts, counts, and the live logs of all nodes.</summary>
internal static class AdminFeature
{
    /// <summary>Administrators send only a filter.</summary>
    private const int MaxFrameBytes = 4 * 1024;

    public static void AddAdmin(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<AdminOperations>();
        services.AddSingleton<LogLines>();
        services.AddSingleton<LogWatchers>();
        services.AddSingleton<LogBackplane>();
        services.AddSingleton<HubLifetimeManager<AdminHub>, AdminLifetime>();
        services.AddHostedService(provider => provider.GetRequiredService<LogBackplane>());
        services.AddHostedService<LogRelay>();
        var signalR = services.AddSignalR()
            .AddHubOptions<AdminHub>(options =>
            {
                options.SupportedProtocols = ["json"];
                options.MaximumReceiveMessageSize = MaxFrameBytes;
            })
            .AddHubOptions<LogNodes>(options => options.SupportedProtocols = ["json"]);
        if (!RedisConnection.IsConfigured(builder.Configuration))
            return;
        // For all hubs that register no lifetime manager of their own, which is LogNodes alone.
        signalR.AddStackExchangeRedis();
        services.AddOptions<RedisOptions>().Configure<RedisConnection>((options, redis) => options.ConnectionFactory = _ => redis.GetAnsweringAsync());
    }

    public static void MapAdmin(this IEndpointRouteBuilder app)
    {
        AdminEndpoints.Map(app);
        app.MapHub<AdminHub>(Wire.AdminHubPath, options =>
        {
            options.Transports = HttpTransportType.WebSockets;
            options.CloseOnAuthenticationExpiration = true;
            options.AllowStatefulReconnects = false;
        });
    }
}
