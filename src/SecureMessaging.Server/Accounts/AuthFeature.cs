using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;

namespace SecureMessaging.Server.Accounts;

/// <summary>
/// Authentication and authorisation: sign-in, sessions, tokens, tickets, keys. Default deny: an endpoint is closed unless it allows anonymous calls.
/// </summary>
internal static class AuthFeature
{
    public const string AdminPolicy = "admin";

    private const string SelectingScheme = "TokenOrTicket";

    public static void AddAuth(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<AuthOptions>().BindConfiguration(AuthOptions.Section).ValidateDataAnnotations()
            .Validate(options => options.KeyPublishLead < options.KeyRotation, "Auth:KeyPublishLead must be shorter than Auth:KeyRotation.")
            .ValidateOnStart();
        services.AddSingleton<PasswordHasher>();
        services.AddSingleton<LoginThrottle>();
        services.AddSingleton<PasswordCheck>();
        services.AddSingleton<RefreshTokens>();
        services.AddSingleton<SessionEvents>();
        services.AddSingleton<SessionStore>();
        services.AddSingleton<SessionOperations>();
        services.AddSingleton<KeyRing>();
        services.AddSingleton<AccessTokens>();
        services.AddSingleton<AuthOperations>();
        services.AddHostedService<KeyRotationService>();

        services.AddAuthentication(SelectingScheme)
            .AddPolicyScheme(SelectingScheme, null, options =>
                options.ForwardDefaultSelector = context => TicketHandler.Applies(context.Request)
                    ? TicketHandler.SchemeName
                    : JwtBearerDefaults.AuthenticationScheme)
            .AddJwtBearer()
            .AddScheme<AuthenticationSchemeOptions, TicketHandler>(TicketHandler.SchemeName, null);
        // Nothing uses data protection (there are no cookies). Its start would write keys into the home directory.
        foreach (var unused in services.Where(service => service.ImplementationType?.Name == "DataProtectionHostedService").ToList())
            services.Remove(unused);
        services.AddOptions<JwtBearerOptions>(JwtBearerDefaults.AuthenticationScheme).Configure<AccessTokens>(AccessTokenCheck.Configure);
        services.AddAuthorizationBuilder()
            .AddPolicy(AdminPolicy, policy => policy.RequireAuthenticatedUser().RequireAssertion(AccessTokenCheck.MayAdminister))
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build());
    }

    public static void UseAuth(this WebApplication app)
    {
        app.UseAuthentication();
        app.UseAuthorization();
    }

    public static void MapAuth(this IEndpointRouteBuilder app) => AuthEndpoints.Map(app);
}
