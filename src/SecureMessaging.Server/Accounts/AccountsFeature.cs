namespace SecureMessaging.Server.Accounts;

/// <summary>Accounts: reading and changing the own one, finding others.</summary>
internal static class AccountsFeature
{
    public static void AddAccounts(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<AccountRules>();
        services.AddSingleton<EmailCipher>();
        services.AddSingleton<PushEndpointCipher>();
        services.AddSingleton<ReleasedNames>();
        services.AddSingleton<UserStore>();
        services.AddSingleton<AccountOperations>();
    }

    public static void MapAccounts(this IEndpointRouteBuilder app) => AccountEndpoints.Map(app);
}
