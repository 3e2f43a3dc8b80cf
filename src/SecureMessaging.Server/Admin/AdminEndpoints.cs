using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.OpenApi;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Admin;

internal static partial class AdminEndpoints
{
    public static void Map(IEndpointRouteBuilder app)
    {
        var admin = app.MapGroup("/v1/admin").RequireAuthorization(AuthFeature.AdminPolicy).WithTags("Admin").NeverStored();
        admin.MapGet("/stats", CountAsync);
        admin.MapPost("/users/{username}/disable", DisableAsync);
        admin.MapPost("/users/{username}/enable", EnableAsync);
    }

    [EndpointName("getStats"), EndpointSummary("Counts of everything, of nobody in particular.")]
    internal static async Task<Ok<AdminStats>> CountAsync(
        UserStore users, SessionStore sessions, RoomStore rooms, IOptions<ServerOptions> options, CancellationToken cancellationToken)
    {
        var (accounts, logs) = (await users.CountAsync(cancellationToken), await rooms.CountAsync(cancellationToken));
        return TypedResults.Ok(new AdminStats(
            options.Value.NodeName, accounts.Users, accounts.Disabled, accounts.Admins, await sessions.CountLiveAsync(cancellationToken), logs.Rooms, logs.Entries));
    }

    [EndpointName("disableUser"), EndpointSummary("Ends the account's sessions and shuts it out.")]
    [Refuses(ErrorCode.Conflict)]
    internal static async Task<NoContent> DisableAsync(
        string username, Caller caller, Database database, UserStore users, SessionStore sessions, ILogger<UserStore> logger, CancellationToken cancellationToken)
    {
        var id = await FindAsync(username, users, cancellationToken);
        if (id == caller.UserId)
            throw new ApiException(ErrorCode.Conflict, "You cannot disable your own account. Ask another administrator.");
        var ended = await database.WriteAsync(
            async transaction =>
            {
                // The lock keeps new sessions out until they find the account disabled.
                _ = await users.LockAsync(transaction, id, cancellationToken) ?? throw ApiException.NotFound();
                await users.SetDisabledAsync(transaction, id, disabled: true, cancellationToken);
                return await sessions.EndAllAsync(transaction, id, except: null, cancellationToken);
            },
            cancellationToken);
        sessions.RaiseEnded(ended, SessionEndReason.AccountClosed);
        Disabled(logger, caller.UserId, id, ended.Count);
        return TypedResults.NoContent();
    }

    [EndpointName("enableUser"), EndpointSummary("Lets the account in again.")]
    internal static async Task<NoContent> EnableAsync(
        string username, Caller caller, Database database, UserStore users, ILogger<UserStore> logger, CancellationToken cancellationToken)
    {
        var id = await FindAsync(username, users, cancellationToken);
        await database.WriteAsync(transaction => users.SetDisabledAsync(transaction, id, disabled: false, cancellationToken), cancellationToken);
        Enabled(logger, caller.UserId, id);
        return TypedResults.NoContent();
    }

    private static async Task<Guid> FindAsync(string username, UserStore users, CancellationToken cancellationToken) =>
        username.Contains('@', StringComparison.Ordinal)
            ? throw ApiException.NotFound()
            : (await users.FindByLoginAsync(username.ToLowerInvariant(), cancellationToken) ?? throw ApiException.NotFound()).Id;

    [LoggerMessage(6000, LogLevel.Warning, "Administrator {Administrator} disabled account {Account}; {Sessions} sessions ended")]
    private static partial void Disabled(ILogger logger, Guid administrator, Guid account, int sessions);

    [LoggerMessage(6001, LogLevel.Warning, "Administrator {Administrator} enabled account {Account}")]
    private static partial void Enabled(ILogger logger, Guid administrator, Guid account);
}
