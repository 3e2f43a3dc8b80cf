using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Accounts;

/// <summary>
/// Authenticates connections to the hub by a single-use ticket in the URL, because browsers cannot set headers on a WebSocket. A ticket in a logged URL is
/// already spent. SignalR's clients send the result of <c>accessTokenFactory</c> as <c>access_token</c> in the query, or outside browsers in the header: a
/// ticket is accepted there too. An access token is never accepted from a URL.
/// </summary>
internal sealed class TicketHandler(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, SessionStore sessions, UserStore users,
    AccessTokens tokens, SecurityEvents events)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "Ticket";

    private const string SignalRParameter = "access_token";

    private const string Bearer = "Bearer ";

    /// <summary>Whether the request carries a ticket. Only the hub accepts tickets. A header takes precedence over the query.</summary>
    public static bool Applies(HttpRequest request) =>
        request.Path.StartsWithSegments(Wire.HubPath, StringComparison.OrdinalIgnoreCase)
        && (request.Headers.Authorization.Count > 0
            ? Header(request) is not null
            : request.Query.ContainsKey(Wire.TicketParameter) || request.Query.ContainsKey(SignalRParameter));

    private static string? Ticket(HttpRequest request) =>
        request.Headers.Authorization.Count > 0 ? Header(request)
        : request.Query.TryGetValue(Wire.TicketParameter, out var values) || request.Query.TryGetValue(SignalRParameter, out values)
            ? values is [{ } only] ? only : null
        : null;

    /// <summary>A bearer token without dots is not a JWT, so it is a ticket.</summary>
    private static string? Header(HttpRequest request) =>
        request.Headers.Authorization is [{ } header] && header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase)
            && !header.Contains('.', StringComparison.Ordinal)
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
