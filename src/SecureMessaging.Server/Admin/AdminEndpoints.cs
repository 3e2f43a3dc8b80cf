using Microsoft.AspNetCore.Http.HttpResults;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Admin;

/// <summary>Administration of the server over REST.</summary>
internal static class AdminEndpoints
{
    public static void Map(IEndpointRouteBuilder app)
    {
        var admin = app.MapGroup("/v1/admin").RequireAuthorization(AuthFeature.AdminPolicy).WithTags("Admin").NeverStored();
        admin.MapGet("/stats", CountAsync);
        admin.MapPost("/users/{username}/disable", DisableAsync);
        admin.MapPost("/users/{username}/enable", EnableAsync);
    }

    [EndpointName("getStats"), EndpointSummary("Counts of accounts, sessions, rooms and entries.")]
    private static async Task<Ok<AdminStats>> CountAsync(AdminOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.CountAsync(cancellationToken));

    [EndpointName("disableUser"), EndpointSummary("Ends the account's sessions and blocks its sign-in.")]
    [Refuses(ErrorCode.Conflict)]
    private static Task<NoContent> DisableAsync(Caller caller, string username, AdminOperations operations, CancellationToken cancellationToken) =>
        operations.DisableAsync(caller, username, cancellationToken).NoContentAsync();

    [EndpointName("enableUser"), EndpointSummary("Allows a disabled account to sign in again.")]
    private static Task<NoContent> EnableAsync(Caller caller, string username, AdminOperations operations, CancellationToken cancellationToken) =>
        operations.EnableAsync(caller, username, cancellationToken).NoContentAsync();
}
