using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Privacy;

/// <summary>Disclosure and erasure of the caller's account, and what it lets the server store, over REST.</summary>
internal static class PrivacyEndpoints
{
    private const int BodyBytes = 8 * 1024;

    public static void Map(IEndpointRouteBuilder app)
    {
        var me = app.MapGroup("/v1/me").RequireAuthorization().WithTags("Me").NeverStored();
        me.MapGet("data", Disclose).Produces<PersonalData>();
        me.MapGet("privacy", GetAsync);
        me.MapPut("privacy", ChangeAsync).WithMetadata(new RequestSizeLimitAttribute(BodyBytes));
        me.MapPost("delete", EraseAsync).WithMetadata(new RequestSizeLimitAttribute(BodyBytes));
    }

    [EndpointName("getPersonalData"), EndpointSummary("Everything the server stores about the caller's account. One response at a time for each account.")]
    private static PushStreamHttpResult Disclose(Caller caller, Disclosures disclosures, CancellationToken cancellationToken) =>
        TypedResults.Stream(output => disclosures.WriteAsync(caller.UserId, output, cancellationToken), "application/json");

    [EndpointName("getPrivacy"), EndpointSummary("What the server stores about the caller only while the caller wants it.")]
    private static async Task<Ok<PrivacySettings>> GetAsync(Caller caller, PrivacyOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.GetAsync(caller, cancellationToken));

    [EndpointName("changePrivacy")]
    [EndpointSummary("Sets what the server may store about the caller. Turning the delivery cursor off also deletes the stored cursors.")]
    private static Task<NoContent> ChangeAsync(
        Caller caller, PrivacySettings request, PrivacyOperations operations, CancellationToken cancellationToken) =>
        operations.ChangeAsync(caller, request, cancellationToken).NoContentAsync();

    [EndpointName("deleteAccount"), EndpointSummary("Deletes the account and everything the server can attribute to it.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static Task<NoContent> EraseAsync(
        Requester requester, DeleteAccountRequest request, AccountErasure erasure, CancellationToken cancellationToken) =>
        erasure.EraseAsync(requester, request, cancellationToken).NoContentAsync();
}
