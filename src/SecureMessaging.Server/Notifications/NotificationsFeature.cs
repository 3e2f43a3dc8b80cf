namespace SecureMessaging.Server.Notifications;

/// <summary>Notification settings, and Web Push without content.</summary>
internal static class NotificationsFeature
{
    public static void AddNotifications(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<PushOptions>().BindConfiguration(PushOptions.Section).ValidateDataAnnotations()
            .Validate(options => options.IsContactUsable, "Push:Contact takes a mailto: or https: URI.")
            .Validate(
                options => options.AreOriginsUsable, "Push:AllowedOrigins takes origins such as https://push.example.org, in lower case and without a path.")
            .ValidateOnStart();
        services.AddSingleton<SettingsStore>();
        services.AddSingleton<PushStore>();
        services.AddSingleton<PushAddress>();
        services.AddSingleton<PushSender>();
        services.AddSingleton<NotificationOperations>();
        services.AddSingleton<PushService>();
        services.AddHostedService(provider => provider.GetRequiredService<PushService>());
    }

    public static void MapNotifications(this IEndpointRouteBuilder app) => NotificationEndpoints.Map(app);
}
