using SecureMessaging.Server.Platform.Data;

namespace SecureMessaging.Server.RoomLog;

/// <summary>The room log.</summary>
internal static class MessagesFeature
{
    public static void AddMessages(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<MessagesOptions>().BindConfiguration(MessagesOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<OwnerProof>();
        services.AddSingleton<CommitFeed>();
        services.AddSingleton<LogStore>();
        services.AddSingleton<LogWindows>();
        services.AddSingleton<MessageOperations>();
        services.AddSingleton<IEnvelopeAppend>(provider => provider.GetRequiredService<Database>() is { IsPostgres: true } postgres
            ? new PostgresEnvelopeAppend(postgres, provider.GetRequiredService<OwnerProof>())
            : new SqliteEnvelopeAppend(provider.GetRequiredService<Database>(), provider.GetRequiredService<OwnerProof>()));
        services.AddSingleton<SendQueue>();
        services.AddHostedService(provider => provider.GetRequiredService<SendQueue>());
    }

    public static void MapMessages(this IEndpointRouteBuilder app) => MessageEndpoints.Map(app);
}
