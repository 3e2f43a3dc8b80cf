using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Auth;

/// <summary>
/// Lets a browser, which cannot set headers on a WebSocket, open the hub with a single-use ticket in the URL. Should the URL reach a log, the ticket in it is spent.
/// SignalR's own clients put what their <c>accessTokenFactory</c> returns into the query as <c>access_token</c>, or outside of browsers into the header: a ticket is
/// taken from there, too. A token is never taken from a URL.
/// </summary>
internal sealed class TicketHandler(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, SessionStore sessions, UserStore users, AccessTokens tokens,
    SecurityEvents events)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "Ticket";

    private const string SignalRParameter = "access_token";

    private const string Bearer = "Bearer ";

    /// <summary>Whether the request means to use a ticket. A header wins, and elsewhere than at the hub a ticket is nothing.</summary>
    public static bool Applies(HttpRequest request) =>
        request.Path.StartsWithSegments(Wire.HubPath, StringComparison.OrdinalIgnoreCase)
        && (request.Headers.Authorization.Count > 0 ? Header(request) is not null : request.Query.ContainsKey(Wire.TicketParameter) || request.Query.ContainsKey(SignalRParameter));

    private static string? Ticket(HttpRequest request) =>
        request.Headers.Authorization.Count > 0 ? Header(request)
        : request.Query.TryGetValue(Wire.TicketParameter, out var values) || request.Query.TryGetValue(SignalRParameter, out values) ? values is [{ } only] ? only : null
        : null;

    /// <summary>A bearer token without dots is no JWT.</summary>
    private static string? Header(HttpRequest request) =>
        request.Headers.Authorization is [{ } header] && header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) && !header.Contains('.', StringComparison.Ordinal)
            ? header[Bearer.Length..].Trim()
            : null;

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (Ticket(Request) is not { } ticket
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
