using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Accounts;

/// <summary>The caller's account, and other accounts by username, over REST.</summary>
internal static class AccountEndpoints
{
    private const int BodyBytes = 8 * 1024;

    public static void Map(IEndpointRouteBuilder app)
    {
        var me = app.MapGroup("/v1/me").RequireAuthorization().WithTags("Me").WithMetadata(new RequestSizeLimitAttribute(BodyBytes)).NeverStored();
        me.MapGet("/", GetProfileAsync);
        me.MapPatch("/", UpdateProfileAsync).TakesMergePatch<UpdateProfileRequest>();
        me.MapPost("/password", ChangePasswordAsync);
        me.MapGet("/sessions", ListSessionsAsync);
        me.MapPut("/sessions/{id:guid}/label", LabelSessionAsync);
        me.MapDelete("/sessions/{id:guid}", EndSessionAsync);

        app.MapGet("/v1/users/{username}", FindAsync).RequireAuthorization().WithTags("Users");
    }

    [EndpointName("getProfile"), EndpointSummary("The caller's account.")]
    private static async Task<Ok<Profile>> GetProfileAsync(Caller caller, AccountOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.GetProfileAsync(caller, cancellationToken));

    [EndpointName("updateProfile"), EndpointSummary("Changes the caller's e-mail address. Requires the password.")]
    [EndpointDescription("A merge patch (RFC 7396): absent members stay unchanged.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static async Task<Ok<Profile>> UpdateProfileAsync(
        Requester requester, UpdateProfileRequest request, AccountOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.UpdateProfileAsync(requester, request, cancellationToken));

    [EndpointName("changePassword"), EndpointSummary("Changes the password and ends every other session of the account.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static Task<NoContent> ChangePasswordAsync(
        Requester requester, ChangePasswordRequest request, AccountOperations operations, CancellationToken cancellationToken) =>
        operations.ChangePasswordAsync(requester, request, cancellationToken).NoContentAsync();

    [EndpointName("listSessions"), EndpointSummary("The caller's sessions, active ones first.")]
    private static async Task<Ok<SessionSummary[]>> ListSessionsAsync(Caller caller, SessionOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.ListAsync(caller, cancellationToken));

    [EndpointName("labelSession"), EndpointSummary("Names one of the caller's live sessions, for its owner. Null clears.")]
    private static Task<NoContent> LabelSessionAsync(
        Caller caller, Guid id, LabelSessionRequest request, SessionOperations operations, CancellationToken cancellationToken) =>
        operations.LabelAsync(caller, id, request, cancellationToken).NoContentAsync();

    [EndpointName("endSession"), EndpointSummary("Ends one of the caller's sessions and closes its connections.")]
    private static Task<NoContent> EndSessionAsync(Caller caller, Guid id, SessionOperations operations, CancellationToken cancellationToken) =>
        operations.EndAsync(caller, id, cancellationToken).NoContentAsync();

    [EndpointName("findUser"), EndpointSummary("Finds another account by its exact username.")]
    private static async Task<Ok<UserSummary>> FindAsync(string username, AccountOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.FindAsync(username, cancellationToken) ?? throw ApiException.NotFound());
}
