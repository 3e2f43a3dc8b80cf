namespace SecureMessaging.Server.Encryption;

/// <summary>Devices, their identity and their KeyPackages.</summary>
internal static class DevicesFeature
{
    public static void AddDevices(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<DevicesOptions>().BindConfiguration(DevicesOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<DeviceEvents>();
        services.AddSingleton<DeviceRooms>();
        services.AddSingleton<DeviceStore>();
        services.AddSingleton<DeviceOperations>();
        services.AddSingleton<DeviceDirectory>();
        services.AddSingleton<DeviceListStore>();
        services.AddSingleton<DeviceListOperations>();
        services.AddSingleton<KeyPackageStore>();
        services.AddSingleton<KeyPackageOperations>();
        services.AddSingleton<SeenDevices>();
    }

    public static void UseDevices(this WebApplication app)
    {
        var seen = app.Services.GetRequiredService<SeenDevices>();
        app.Use(async (context, next) =>
        {
            await seen.NoteAsync(context);
            await next(context);
        });
    }

    public static void MapDevices(this IEndpointRouteBuilder app) => DeviceEndpoints.Map(app);
}
