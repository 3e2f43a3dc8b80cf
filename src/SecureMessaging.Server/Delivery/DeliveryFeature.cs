using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Delivery;

/// <summary>Delivery of committed entries to the connections of this node, and the drain of these connections when the node stops.</summary>
internal static class DeliveryFeature
{
    public static void AddDelivery(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<Subscribers>();
        services.AddSingleton<SubscriberRegistry>();
        services.AddSingleton<MembershipStore>();
        services.AddSingleton<ReadLog>(provider => provider.GetRequiredService<LogStore>().ReadForDeliveryAsync);
        services.AddSingleton<DeliveryShards>();
        services.AddHostedService(provider => provider.GetRequiredService<DeliveryShards>());
        services.AddOptions<DrainOptions>().BindConfiguration(DrainOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<DrainingLifetime>();
        services.AddSingleton<IHostLifetime>(provider => provider.GetRequiredService<DrainingLifetime>());
        services.AddHealthChecks().AddCheck<DrainCheck>("draining");
    }
}
