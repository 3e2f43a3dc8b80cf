using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.StackExchangeRedis;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Admin;

/// <summary>For administrators of the server: accounts, counts, and the live logs of all nodes.</summary>
internal static class AdminFeature
{
    /// <summary>A filter is all that administrators send.</summary>
    private const int MaxFrameBytes = 4 * 1024;

    public static void AddAdmin(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<LogLines>();
        services.AddSingleton<LogWatchers>();
        services.AddSingleton<LogBackplane>();
        services.AddSingleton<HubLifetimeManager<AdminHub>, AdminLifetime>();
        services.AddHostedService(provider => provider.GetRequiredService<LogBackplane>());
        services.AddHostedService<LogRelay>();
        var signalR = services.AddSignalR().AddHubOptions<AdminHub>(options =>
        {
            options.SupportedProtocols = ["json"];
            options.MaximumReceiveMessageSize = MaxFrameBytes;
        });
        if (string.IsNullOrWhiteSpace(builder.Configuration.GetConnectionString("Redis")))
            return;
        signalR.AddStackExchangeRedis();
        services.AddOptions<RedisOptions>().Configure<LogBackplane>((options, backplane) => options.ConnectionFactory = _ => backplane.ConnectionAsync());
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
