namespace SecureMessaging.Server.Rooms;

/// <summary>Rooms and their rosters.</summary>
internal static class RoomsFeature
{
    public static void AddRooms(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<RoomEvents>();
        builder.Services.AddSingleton<RoomStore>();
        builder.Services.AddSingleton<RosterStore>();
        builder.Services.AddSingleton<SettingsChanges>();
        builder.Services.AddSingleton<RoomOperations>();
    }

    public static void MapRooms(this IEndpointRouteBuilder app) => RoomEndpoints.Map(app);
}
