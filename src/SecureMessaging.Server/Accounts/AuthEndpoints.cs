using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Accounts;

/// <summary>Sign-up, sign-in, sessions and the public signing keys over REST.</summary>
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

    [EndpointName("signUp"), EndpointSummary("Creates an account and signs it in.")]
    [EndpointDescription("Usernames and e-mail addresses are unique, compared without case.")]
    [Refuses(ErrorCode.Conflict)]
    [ReplyHeader("201", "Location", "The account, relative to the server.", "/v1/me")]
    private static async Task<Created<TokenResponse>> SignUpAsync(
        Requester requester, SignUpRequest request, AuthOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Created("/v1/me", await operations.SignUpAsync(requester, request, cancellationToken));

    [EndpointName("signIn"), EndpointSummary("Signs in and starts a session.")]
    [EndpointDescription("An unknown name and a wrong password get the same response. After several failures in a row, further attempts must wait.")]
    [Refuses(ErrorCode.Unauthenticated)]
    private static async Task<Ok<TokenResponse>> SignInAsync(
        Requester requester, TokenRequest request, AuthOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.SignInAsync(requester, request, cancellationToken));

    [EndpointName("refresh"), EndpointSummary("Exchanges a refresh token for new tokens.")]
    [EndpointDescription("Each refresh token works once. Reuse of an older token ends the session, because someone else may hold a copy.")]
    [Refuses(ErrorCode.Unauthenticated)]
    private static async Task<Ok<TokenResponse>> RefreshAsync(
        Requester requester, RefreshRequest request, AuthOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.RefreshAsync(requester, request, cancellationToken));

    [EndpointName("logOut"), EndpointSummary("Ends this session and closes its connections.")]
    private static Task<NoContent> LogOutAsync(Caller caller, SessionOperations operations, CancellationToken cancellationToken) =>
        operations.LogOutAsync(caller, cancellationToken).NoContentAsync();

    [EndpointName("logOutEverywhere"), EndpointSummary("Ends all of the caller's sessions, including this one.")]
    private static Task<NoContent> LogOutEverywhereAsync(Caller caller, SessionOperations operations, CancellationToken cancellationToken) =>
        operations.LogOutEverywhereAsync(caller, cancellationToken).NoContentAsync();

    [EndpointName("issueTicket"), EndpointSummary("Issues a ticket that replaces the access token when a WebSocket is opened.")]
    [EndpointDescription("Single use, valid for some seconds. Browsers cannot set headers on a WebSocket, and an access token must not appear in a URL.")]
    private static async Task<Ok<TicketResponse>> IssueTicketAsync(Caller caller, SessionOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.IssueTicketAsync(caller, cancellationToken));

    [EndpointName("getSigningKeys"), EndpointSummary("The public keys that verify access tokens (RFC 7517).")]
    private static Ok<KeySet> PublishKeys(HttpContext context, KeyRing ring)
    {
        context.Response.Headers.CacheControl = KeySet.CacheControl;
        return TypedResults.Ok(KeySet.Of(ring.Published));
    }
}
