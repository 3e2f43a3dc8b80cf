namespace SecureMessaging.Server.Platform.Keys;

/// <summary>The server's secret, from which all symmetric keys are derived, and the check that it belongs to the database.</summary>
internal static class KeysFeature
{
    public static void AddKeys(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<ServerSecret>();
        builder.Services.AddSingleton<Installation>();
    }
}
