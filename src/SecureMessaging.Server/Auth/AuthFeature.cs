using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Auth;

/// <summary>Who calls: sign-in, sessions, tokens, tickets, keys, origins. What no endpoint opens is closed.</summary>
internal static class AuthFeature
{
    /// <summary>The policy of endpoints for administrators of the server.</summary>
    public const string AdminPolicy = "admin";

    private const string SelectingScheme = "TokenOrTicket";

    public static void AddAuth(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<AuthOptions>().BindConfiguration(AuthOptions.Section).ValidateDataAnnotations()
            .Validate(options => options.KeyPublishLead < options.KeyRotation, "Auth:KeyPublishLead must be shorter than Auth:KeyRotation.")
            .ValidateOnStart();
        services.AddOptions<ServerOptions>()
            .Validate(options => options.AllowedOrigins.All(OriginCheck.IsOrigin), "Server:AllowedOrigins takes origins such as https://chat.example.org, in lower case and without a path.");
        services.AddSingleton<PasswordHasher>();
        services.AddSingleton<LoginThrottle>();
        services.AddSingleton<PasswordCheck>();
        services.AddSingleton<RefreshTokens>();
        services.AddSingleton<SessionEvents>();
        services.AddSingleton<SessionStore>();
        services.AddSingleton<KeyRing>();
        services.AddSingleton<AccessTokens>();
        services.AddHostedService<KeyRotationService>();

        services.AddAuthentication(SelectingScheme)
            .AddPolicyScheme(SelectingScheme, null, options =>
                options.ForwardDefaultSelector = context => TicketHandler.Applies(context.Request) ? TicketHandler.SchemeName : JwtBearerDefaults.AuthenticationScheme)
            .AddJwtBearer()
            .AddScheme<AuthenticationSchemeOptions, TicketHandler>(TicketHandler.SchemeName, null);
        // Nothing here uses data protection (there are no cookies), and its start would write keys into the home directory.
        foreach (var unused in services.Where(service => service.ImplementationType?.Name == "DataProtectionHostedService").ToList())
            services.Remove(unused);
        services.AddOptions<JwtBearerOptions>(JwtBearerDefaults.AuthenticationScheme).Configure<AccessTokens>(ConfigureBearer);
        services.AddAuthorizationBuilder()
            .AddPolicy(AdminPolicy, policy => policy.RequireAuthenticatedUser().RequireAssertion(MayAdminister))
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build());
        services.AddCors();
        services.AddOptions<CorsOptions>().Configure<IOptions<ServerOptions>, IServiceProvider>(OriginCheck.ConfigureCors);
    }

    /// <summary>Before all that answers: a browser shows a page of an allowed origin an error only when it has the headers of CORS.</summary>
    public static void UseCrossOrigin(this WebApplication app) => app.UseCors();

    /// <summary>Origins first: a foreign page must not get as far as spending a ticket.</summary>
    public static void UseOrigins(this WebApplication app) => app.UseOriginCheck();

    public static void UseAuth(this WebApplication app)
    {
        app.UseAuthentication();
        app.UseAuthorization();
    }

    public static void MapAuth(this IEndpointRouteBuilder app) => AuthEndpoints.Map(app);

    private static void ConfigureBearer(JwtBearerOptions options, AccessTokens tokens)
    {
        options.MapInboundClaims = false;
        options.IncludeErrorDetails = false;
        options.SaveToken = false;
        options.TokenValidationParameters = tokens.Validation();
        options.Events = new JwtBearerEvents
        {
            OnTokenValidated = CheckSessionAsync,
            OnAuthenticationFailed = context =>
            {
                // A database that does not answer says nothing of the token.
                if (context.Exception is not ApiException)
                    Count(context.HttpContext, SecurityCause.TokenRefused);
                return Task.CompletedTask;
            },
        };
    }

    /// <summary>A token outlives its session by up to its lifetime; this read closes that gap.</summary>
    private static async Task CheckSessionAsync(TokenValidatedContext context)
    {
        if (context.SecurityToken is not JsonWebToken token || AccessTokens.HasCriticalHeader(token)
            || !Guid.TryParse(context.Principal?.FindFirst(Caller.UserIdClaim)?.Value, out var userId)
            || !Guid.TryParse(context.Principal.FindFirst(Caller.SessionIdClaim)?.Value, out var sessionId))
        {
            Refuse(context, "The token is not one of ours.");
            return;
        }

        var sessions = context.HttpContext.RequestServices.GetRequiredService<SessionStore>();
        if (await sessions.FindLiveAsync(sessionId, context.HttpContext.RequestAborted) is not { } session || session.UserId != userId)
        {
            Refuse(context, "The session is over.");
            return;
        }

        // The role is the account's as it is now, not as the token has it. The library's principal keeps the token and all that was read of it, as long as a connection lasts.
        context.Principal = new ClaimsPrincipal(AccessTokens.Identity(new Caller(userId, sessionId), session.IsAdmin, context.Scheme.Name));
    }

    private static void Refuse(TokenValidatedContext context, string reason)
    {
        Count(context.HttpContext, SecurityCause.TokenRefused);
        context.Fail(reason);
    }

    private static bool MayAdminister(AuthorizationHandlerContext context)
    {
        if (context.User.IsInRole(AccessTokens.AdminRole))
            return true;
        if (context.User.Identity is { IsAuthenticated: true } && context.Resource is HttpContext request)
            Count(request, SecurityCause.AdministrationRefused);
        return false;
    }

    private static void Count(HttpContext context, SecurityCause cause) => context.RequestServices.GetRequiredService<SecurityEvents>().Count(cause);
}
