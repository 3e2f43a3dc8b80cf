using System.Security.Claims;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.IdentityModel.JsonWebTokens;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Accounts;

/// <summary>
/// Checks access tokens of requests, and the role that administration takes. The role is the account's as stored now, not as the token states it.
/// </summary>
internal static class AccessTokenCheck
{
    public static void Configure(JwtBearerOptions options, AccessTokens tokens)
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
                // An ApiException means that the database did not answer, which says nothing about the token.
                if (context.Exception is not ApiException)
                    Count(context.HttpContext, SecurityCause.TokenRefused);
                return Task.CompletedTask;
            },
        };
    }

    public static bool MayAdminister(AuthorizationHandlerContext context)
    {
        if (context.User.IsInRole(AccessTokens.AdminRole))
            return true;
        if (context.User.Identity is { IsAuthenticated: true } && context.Resource is HttpContext request)
            Count(request, SecurityCause.AdministrationRefused);
        return false;
    }

    /// <summary>A token can outlive its session by up to its lifetime. This read rejects it.</summary>
    private static async Task CheckSessionAsync(TokenValidatedContext context)
    {
        if (context.SecurityToken is not JsonWebToken token || AccessTokens.HasCriticalHeader(token)
            || !Guid.TryParse(context.Principal?.FindFirst(Caller.UserIdClaim)?.Value, out var userId)
            || !Guid.TryParse(context.Principal.FindFirst(Caller.SessionIdClaim)?.Value, out var sessionId))
        {
            Refuse(context, "The token was not issued by this server.");
            return;
        }

        var sessions = context.HttpContext.RequestServices.GetRequiredService<SessionStore>();
        if (await sessions.FindLiveAsync(sessionId, context.HttpContext.RequestAborted) is not { } session || session.UserId != userId)
        {
            Refuse(context, "The session has ended.");
            return;
        }

        // The library's principal would keep the token and its claims in memory for the life of a connection.
        context.Principal = new ClaimsPrincipal(AccessTokens.Identity(new Caller(userId, sessionId), session.IsAdmin, context.Scheme.Name));
    }

    private static void Refuse(TokenValidatedContext context, string reason)
    {
        Count(context.HttpContext, SecurityCause.TokenRefused);
        context.Fail(reason);
    }

    private static void Count(HttpContext context, SecurityCause cause) => context.RequestServices.GetRequiredService<SecurityEvents>().Count(cause);
}
