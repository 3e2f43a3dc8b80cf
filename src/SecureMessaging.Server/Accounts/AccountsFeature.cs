namespace SecureMessaging.Server.Accounts;

/// <summary>People's accounts: what they see and change of their own, and how others find them.</summary>
internal static class AccountsFeature
{
    public static void AddAccounts(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<AccountRules>();
        services.AddSingleton<EmailCipher>();
        services.AddSingleton<UserStore>();
    }

    public static void MapAccounts(this IEndpointRouteBuilder app) => AccountEndpoints.Map(app);
}
