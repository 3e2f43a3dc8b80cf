using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>The hub: JSON and MessagePack over WebSockets.</summary>
internal static class ChatFeature
{
    /// <summary>Holds a batch of <see cref="Limits.BatchBytes"/> in base64.</summary>
    private const int MaxFrameBytes = 512 * 1024;

    /// <summary>Holds a signal of <see cref="Limits.SignalBytes"/> in base64.</summary>
    private const int SignalBodyBytes = 4 * 1024;

    public static void AddChat(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<ChatConnections>();
        services.AddSingleton<ChatEntrance>();
        services.AddSingleton<MembershipStore>();
        services.AddSingleton<RoomTails>();
        services.AddHostedService(provider => provider.GetRequiredService<RoomTails>());
        services.AddOptions<BusOptions>().BindConfiguration(BusOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<NodeBus>();
        services.AddHostedService(provider => provider.GetRequiredService<NodeBus>());
        services.AddSingleton<NodeTable>();
        services.AddHostedService(provider => provider.GetRequiredService<NodeTable>());
        services.AddHostedService<LogSweep>();
        services.AddSingleton<Signals>();
        services.AddHealthChecks().AddCheck<BusCheck>("redis").AddCheck<DrainCheck>("draining").AddCheck<NodeTable>("cluster");
        services.AddOptions<DrainOptions>().BindConfiguration(DrainOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<DrainingLifetime>();
        services.AddSingleton<IHostLifetime>(provider => provider.GetRequiredService<DrainingLifetime>());
        // Of GraphQL's sockets; the hub's are asked by HubSocket.
        services.Configure<Microsoft.AspNetCore.Builder.WebSocketOptions>(options => (options.KeepAliveInterval, options.KeepAliveTimeout) = (TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(15)));
        services.AddSignalR(options =>
            {
                options.MaximumReceiveMessageSize = MaxFrameBytes;
                options.MaximumParallelInvocationsPerClient = 1;
                options.EnableDetailedErrors = false;
                options.KeepAliveInterval = TimeSpan.FromSeconds(10);
                // As long as the SDKs wait for it.
                options.HandshakeTimeout = TimeSpan.FromSeconds(15);
                options.ClientTimeoutInterval = TimeSpan.FromSeconds(30);
            })
            .AddJsonProtocol(options => Wire.Configure(options.PayloadSerializerOptions, strict: true))
            .AddMessagePackProtocol(options => options.SerializerOptions = WireMessagePack.Strict);
        services.AddSingleton<HubErrors>();
        // The filter and not its type, which SignalR would look up for each call.
        services.AddOptions<HubOptions>().Configure<HubErrors>((options, errors) => options.AddFilter(errors));
        services.AddSingleton<HubLifetimeManager<ChatHub>, ChatLifetime>();
        services.AddSingleton<HubSockets>();
        services.AddHostedService(provider => provider.GetRequiredService<HubSockets>());
        foreach (var protocol in services.Where(service => service.ServiceType == typeof(IHubProtocol)).ToList())
        {
            services.Remove(protocol);
            services.AddSingleton<IHubProtocol>(provider =>
                new StrictHubProtocol((IHubProtocol)ActivatorUtilities.CreateInstance(provider, protocol.ImplementationType!)));
        }
    }

    /// <summary>Before everything else: what comes before it is kept in memory by each connection.</summary>
    public static void UseHubSockets(this WebApplication app)
    {
        var sockets = app.Services.GetRequiredService<HubSockets>();
        app.UseWebSockets();
        app.Use((context, next) => IsHub(context.Request) ? sockets.ServeAsync(context, next) : next(context));
    }

    /// <summary>While the node drains, clients are sent elsewhere.</summary>
    public static void UseChat(this WebApplication app)
    {
        var lifetime = app.Services.GetRequiredService<DrainingLifetime>();
        app.Use((context, next) => !IsHub(context.Request) ? next(context)
            : lifetime.IsDraining ? throw new ApiException(ErrorCode.Overloaded, "This node is stopping.") { RetryAfterMs = 1000 }
            : !context.AsksForWebSocket() ? throw ApiException.Invalid("The hub takes WebSockets alone, without negotiation: set skipNegotiation and the transport WebSockets in the SignalR client.")
            : next(context));
    }

    private static bool IsHub(HttpRequest request) => request.Path.StartsWithSegments(Wire.HubPath, StringComparison.OrdinalIgnoreCase);

    public static void MapChat(this IEndpointRouteBuilder app)
    {
        app.Map(Wire.HubPath, HubSockets.Admit).RequireAuthorization();
        // Only to be told that there is nothing to negotiate.
        app.Map(Wire.HubPath + "/negotiate", HubSockets.Admit).RequireAuthorization();
        app.MapPost("/v1/rooms/{roomId:guid}/signals", SignalAsync).RequireAuthorization().WithTags("Messages").WithMetadata(new RequestSizeLimitAttribute(SignalBodyBytes));
    }

    [EndpointName("signal"), EndpointSummary("Sends opaque bytes to the members who are connected now; stored nowhere.")]
    [EndpointDescription("At most once, and only to those who are connected to the hub. 204 says that it is on its way, not that it arrived.")]
    private static async Task<NoContent> SignalAsync(Caller caller, Guid roomId, SignalRequest request, Signals signals, CancellationToken cancellationToken)
    {
        await signals.SendAsync(caller, roomId, request.Signal, cancellationToken);
        return TypedResults.NoContent();
    }
}
