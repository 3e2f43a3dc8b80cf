namespace SecureMessaging.Server.Privacy;

/// <summary>What the server stores about an account: shown to it, and erased with it.</summary>
internal static class PrivacyFeature
{
    public static void AddPrivacy(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<MemberErasure>();
        builder.Services.AddSingleton<AccountErasure>();
        builder.Services.AddSingleton<PersonalDataStore>();
        builder.Services.AddSingleton<Disclosures>();
        builder.Services.AddSingleton<PrivacyOperations>();
    }

    public static void MapPrivacy(this IEndpointRouteBuilder app) => PrivacyEndpoints.Map(app);
}
