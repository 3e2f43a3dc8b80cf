using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Encryption;

/// <summary>MLS commits, proposals, Welcomes and the reset of a group.</summary>
internal static class HandshakesFeature
{
    public static void AddHandshakes(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<WelcomeStore>();
        services.AddSingleton<MembersLeaving>(provider => provider.GetRequiredService<WelcomeStore>().ForgetAsync);
        services.AddSingleton<CommitThrottles>();
        services.AddSingleton<GroupResetOperations>();
        services.AddSingleton<HandshakeLog>();
        services.AddSingleton<RosterPlans>();
        services.AddSingleton<HandshakeOperations>();
    }

    public static void MapHandshakes(this IEndpointRouteBuilder app) => HandshakeEndpoints.Map(app);
}
