namespace SecureMessaging.Server.Cluster;

/// <summary>The connection to Redis, the bus between nodes, and the reconciliation with the database.</summary>
internal static class ClusterFeature
{
    /// <summary>The connection to Redis. It comes before the features that use it, because services stop in the reverse order.</summary>
    public static void AddRedis(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<RedisConnection>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<RedisConnection>());
    }

    public static void AddCluster(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<BusOptions>().BindConfiguration(BusOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<NodeBus>();
        services.AddHostedService(provider => provider.GetRequiredService<NodeBus>());
        services.AddSingleton<NodeTable>();
        services.AddHostedService(provider => provider.GetRequiredService<NodeTable>());
        services.AddSingleton<ReconcilerSchedule>();
        services.AddSingleton<Reconciler>();
        services.AddHostedService(provider => provider.GetRequiredService<Reconciler>());
        services.AddSingleton<Signals>();
        services.AddHealthChecks().AddCheck<BusCheck>("redis").AddCheck<NodeTable>("cluster");
    }

    public static void MapSignals(this IEndpointRouteBuilder app) => SignalEndpoints.Map(app);
}
