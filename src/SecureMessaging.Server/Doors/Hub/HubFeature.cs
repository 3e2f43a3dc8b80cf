using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Doors.Hub.Transport;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Doors.Hub;

/// <summary>The hub: JSON and MessagePack over WebSockets.</summary>
internal static class HubFeature
{
    /// <summary>Holds a batch of <see cref="Limits.BatchBytes"/> in base64.</summary>
    private const int MaxFrameBytes = 512 * 1024;

    public static void AddHub(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSignalR(options =>
            {
                options.MaximumReceiveMessageSize = MaxFrameBytes;
                options.MaximumParallelInvocationsPerClient = 1;
                options.EnableDetailedErrors = false;
                options.KeepAliveInterval = TimeSpan.FromSeconds(10);
                // The SDKs wait for the handshake as long.
                options.HandshakeTimeout = TimeSpan.FromSeconds(15);
                options.ClientTimeoutInterval = TimeSpan.FromSeconds(30);
            })
            .AddJsonProtocol(options => Wire.Configure(options.PayloadSerializerOptions, strict: true))
            .AddMessagePackProtocol(options => options.SerializerOptions = WireMessagePack.Strict);
        services.AddSingleton<HubErrors>();
        // The instance, because SignalR would look a type up for each call.
        services.AddOptions<HubOptions>().Configure<HubErrors>((options, errors) => options.AddFilter(errors));
        services.AddSingleton<HubLifetimeManager<ChatHub>, HubLifetime>();
        services.AddSingleton<HubWebSockets>();
        services.AddHostedService(provider => provider.GetRequiredService<HubWebSockets>());
        foreach (var protocol in services.Where(service => service.ServiceType == typeof(IHubProtocol)).ToList())
        {
            services.Remove(protocol);
            services.AddSingleton<IHubProtocol>(provider =>
                new StrictHubProtocol((IHubProtocol)ActivatorUtilities.CreateInstance(provider, protocol.ImplementationType!)));
        }
    }

    /// <summary>Must be the first middleware: each connection keeps the state of earlier ones in memory.</summary>
    public static void UseHubWebSockets(this WebApplication app)
    {
        var sockets = app.Services.GetRequiredService<HubWebSockets>();
        app.UseWebSockets();
        app.Use((context, next) => IsHub(context.Request) ? sockets.ServeAsync(context, next) : next(context));
    }

    /// <summary>While the node drains, clients are sent elsewhere.</summary>
    public static void UseHub(this WebApplication app)
    {
        var lifetime = app.Services.GetRequiredService<DrainingLifetime>();
        app.Use((context, next) =>
        {
            if (!IsHub(context.Request))
                return next(context);
            if (lifetime.IsDraining)
                throw new ApiException(ErrorCode.Overloaded, "This node is stopping.") { RetryAfterMs = 1000 };
            return context.AsksForWebSocket() ? next(context) : throw HubWebSockets.NotAWebSocket();
        });
    }

    private static bool IsHub(HttpRequest request) => request.Path.StartsWithSegments(Wire.HubPath, StringComparison.OrdinalIgnoreCase);

    public static void MapHub(this IEndpointRouteBuilder app)
    {
        app.Map(Wire.HubPath, HubWebSockets.Admit).RequireAuthorization();
        // A client that negotiates gets an error with the settings that it needs.
        app.Map(Wire.HubPath + "/negotiate", HubWebSockets.Admit).RequireAuthorization();
    }
}
