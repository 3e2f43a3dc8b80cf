using System.Data.Common;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.OpenApi;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Auth;

internal static class AuthEndpoints
{
    private const int BodyBytes = 8 * 1024;

    public static void Map(IEndpointRouteBuilder app)
    {
        var open = app.MapGroup("/v1/auth").AllowAnonymous().WithTags("Auth").WithMetadata(new RequestSizeLimitAttribute(BodyBytes)).NeverStored();
        open.MapPost("/sign-up", SignUpAsync).LimitAddress(limits => limits.SignUps);
        open.MapPost("/token", SignInAsync).LimitAddress(limits => limits.SignIns);
        open.MapPost("/refresh", RefreshAsync).LimitAddress(limits => limits.Renewals);

        var own = app.MapGroup("/v1/auth").RequireAuthorization().WithTags("Auth").WithMetadata(new RequestSizeLimitAttribute(BodyBytes)).NeverStored();
        own.MapPost("/logout", LogOutAsync);
        own.MapPost("/logout-everywhere", LogOutEverywhereAsync);
        own.MapPost("/ticket", IssueTicketAsync).LimitAccount(limits => limits.Renewals);

        app.MapGet("/.well-known/jwks.json", PublishKeys).Conditional().AllowAnonymous().WithTags("Server");
    }

    /// <summary>Replies that hold secrets or personal data stay out of every cache (RFC 6749 section 5.1).</summary>
    public static RouteGroupBuilder NeverStored(this RouteGroupBuilder group) =>
        group.AddEndpointFilter((context, next) =>
        {
            context.HttpContext.Response.Headers.CacheControl = "no-store";
            return next(context);
        });

    [EndpointName("signUp"), EndpointSummary("Makes an account and signs it in.")]
    [EndpointDescription("Usernames and addresses are unique and compared without case.")]
    [Refuses(ErrorCode.Conflict)]
    [ReplyHeader("201", "Location", "The account, relative to the server.", "/v1/me")]
    internal static async Task<Created<TokenResponse>> SignUpAsync(
        SignUpRequest request, Requester requester, AccountRules rules, PasswordHasher hasher, LoginThrottle throttle, Database database, UserStore users, SessionStore sessions,
        AccessTokens tokens, CancellationToken cancellationToken)
    {
        var username = rules.Username(request.Username);
        var email = rules.Email(request.Email);
        var hash = await hasher.HashAsync(requester.Anonymous, rules.NewPassword(request.Password), cancellationToken);
        var grant = await database.WriteAsync(
            async transaction =>
            {
                var userId = await users.CreateAsync(transaction, username, email, hash, UserRole.User, cancellationToken);
                return await sessions.StartAsync(transaction, userId, cancellationToken);
            },
            cancellationToken);
        throttle.Remember(grant.UserId, requester.Address);
        return TypedResults.Created("/v1/me", Respond(grant, username, admin: false, tokens));
    }

    [EndpointName("signIn"), EndpointSummary("Begins a session.")]
    [EndpointDescription("An unknown name and a wrong password get the same answer. Too many failures in a row are made to wait.")]
    [Refuses(ErrorCode.Unauthenticated)]
    internal static async Task<Ok<TokenResponse>> SignInAsync(
        TokenRequest request, Requester requester, AccountRules rules, PasswordCheck check, PasswordHasher hasher, Database database, UserStore users, SessionStore sessions,
        AccessTokens tokens, CancellationToken cancellationToken)
    {
        var password = rules.GivenPassword(request.Password);
        var (user, renew) = await check.SignInAsync(requester.Anonymous, rules.Login(request.Username), password, cancellationToken);
        var better = renew ? await hasher.HashAsync(requester.Anonymous, password, cancellationToken) : null;
        var grant = await database.WriteAsync(
            transaction => StartAsync(transaction, user, better, users, sessions, cancellationToken), cancellationToken);
        return TypedResults.Ok(Respond(grant, user.Username, user.IsAdmin, tokens));
    }

    /// <summary>The password was checked outside the transaction, so what it was checked against must still hold.</summary>
    private static async Task<Grant> StartAsync(
        DbTransaction transaction, UserRow user, string? betterHash, UserStore users, SessionStore sessions, CancellationToken cancellationToken)
    {
        if (await users.LockAsync(transaction, user.Id, cancellationToken) is not { Disabled: false } now || now.PasswordHash != user.PasswordHash)
            throw new ApiException(ErrorCode.Unauthenticated, "The username or the password is wrong.");
        if (betterHash is not null)
            await users.SetPasswordAsync(transaction, user.Id, betterHash, cancellationToken);
        return await sessions.StartAsync(transaction, user.Id, cancellationToken);
    }

    [EndpointName("refresh"), EndpointSummary("Continues a session.")]
    [EndpointDescription("Each refresh token works once. One that comes back later ends the session: somebody has a copy.")]
    [Refuses(ErrorCode.Unauthenticated)]
    internal static async Task<Ok<TokenResponse>> RefreshAsync(
        RefreshRequest request, Requester requester, UserStore users, SessionStore sessions, AccessTokens tokens, LoginThrottle throttle, CancellationToken cancellationToken)
    {
        if (await sessions.RenewAsync(request.RefreshToken, cancellationToken) is not { } grant
            || await users.FindAsync(grant.UserId, cancellationToken) is not { Disabled: false } user)
        {
            throw new ApiException(ErrorCode.Unauthenticated, "The refresh token is not valid, or no longer valid. Sign in again.");
        }

        throttle.Remember(user.Id, requester.Address);
        return TypedResults.Ok(Respond(grant, user.Username, user.IsAdmin, tokens));
    }

    [EndpointName("logOut"), EndpointSummary("Ends this session and closes its sockets.")]
    private static async Task<NoContent> LogOutAsync(Caller caller, SessionStore sessions, CancellationToken cancellationToken)
    {
        await sessions.EndAsync(caller.UserId, caller.SessionId, cancellationToken);
        return TypedResults.NoContent();
    }

    [EndpointName("logOutEverywhere"), EndpointSummary("Ends all sessions of the caller, this one too.")]
    private static async Task<NoContent> LogOutEverywhereAsync(Caller caller, SessionStore sessions, CancellationToken cancellationToken)
    {
        await sessions.EndAllAsync(caller.UserId, cancellationToken);
        return TypedResults.NoContent();
    }

    [EndpointName("issueTicket"), EndpointSummary("A ticket that stands in for the token when a WebSocket is opened.")]
    [EndpointDescription("Single use, for some seconds. Browsers cannot set headers on a WebSocket, and a token must not stand in a URL.")]
    internal static async Task<Ok<TicketResponse>> IssueTicketAsync(
        Caller caller, SessionStore sessions, IOptions<AuthOptions> options, CancellationToken cancellationToken) =>
        await sessions.IssueTicketAsync(caller.SessionId, cancellationToken) is { } ticket
            ? TypedResults.Ok(new TicketResponse(ticket, (int)options.Value.TicketLifetime.TotalSeconds))
            : throw new ApiException(ErrorCode.Unauthenticated, "The session is over. Sign in again.");

    [EndpointName("getSigningKeys"), EndpointSummary("The keys that access tokens are signed with (RFC 7517).")]
    private static Ok<KeySet> PublishKeys(HttpContext context, KeyRing ring)
    {
        // Well below the time that a key is published before it signs.
        context.Response.Headers.CacheControl = "public, max-age=300";
        return TypedResults.Ok(new KeySet([.. ring.Published.Select(key => new PublicKey("EC", "P-256", key.X, key.Y, key.Id, "sig", "ES256"))]));
    }

    private static TokenResponse Respond(Grant grant, string username, bool admin, AccessTokens tokens)
    {
        var (token, expiresIn) = tokens.Issue(new Caller(grant.UserId, grant.SessionId), admin, grant.ExpiresAt);
        return new TokenResponse(grant.UserId, username, grant.SessionId, token, expiresIn, grant.RefreshToken, grant.ExpiresAt);
    }
}

/// <summary>Public keys in force and to come (RFC 7517 section 5).</summary>
/// <param name="Keys">Those that tokens are signed with, or will be soon.</param>
internal sealed record KeySet(PublicKey[] Keys);

/// <summary>A public key (RFC 7517 section 4, RFC 7518 section 6.2).</summary>
/// <param name="Kty">Always EC.</param>
/// <param name="Crv">Always P-256.</param>
/// <param name="X">The point's first coordinate, base64url.</param>
/// <param name="Y">Its second.</param>
/// <param name="Kid">The key's id, which a token names in its header.</param>
/// <param name="Use">Always sig.</param>
/// <param name="Alg">Always ES256.</param>
internal sealed record PublicKey(string Kty, string Crv, string X, string Y, string Kid, string Use, string Alg);
