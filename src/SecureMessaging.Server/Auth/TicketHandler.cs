using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Auth;

/// <summary>
/// Lets a browser, which cannot set headers on a WebSocket, open the hub with a single-use ticket in the URL.
/// Should the URL reach a log, the ticket in it is spent.
/// </summary>
internal sealed class TicketHandler(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, SessionStore sessions, UserStore users, AccessTokens tokens,
    SecurityEvents events)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "Ticket";

    /// <summary>Whether the request means to use a ticket. A header wins, and elsewhere than at the hub a ticket is nothing.</summary>
    public static bool Applies(HttpRequest request) =>
        request.Path.StartsWithSegments(Wire.HubPath, StringComparison.OrdinalIgnoreCase) && request.Headers.Authorization.Count == 0 && request.Query.ContainsKey(Wire.TicketParameter);

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (Request.Query[Wire.TicketParameter] is not [{ } ticket]
            || await sessions.TakeTicketAsync(ticket, Context.RequestAborted) is not { } session
            || await users.FindAsync(session.UserId, Context.RequestAborted) is not { Disabled: false } user)
        {
            events.Count(SecurityCause.TicketRefused);
            return AuthenticateResult.Fail("The ticket is unknown, used or expired.");
        }

        var identity = AccessTokens.Identity(new Caller(user.Id, session.Id), user.IsAdmin, SchemeName);
        var properties = new AuthenticationProperties { ExpiresUtc = new DateTimeOffset(tokens.Expiry(session.ExpiresAt)) };
        return AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), properties, SchemeName));
    }
}
