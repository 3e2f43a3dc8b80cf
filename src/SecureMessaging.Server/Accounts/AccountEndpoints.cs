using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.OpenApi;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Accounts;

internal static partial class AccountEndpoints
{
    private const int BodyBytes = 8 * 1024;

    public static void Map(IEndpointRouteBuilder app)
    {
        var me = app.MapGroup("/v1/me").RequireAuthorization().WithTags("Me").WithMetadata(new RequestSizeLimitAttribute(BodyBytes)).NeverStored();
        me.MapGet("/", GetProfileAsync);
        me.MapPatch("/", UpdateProfileAsync).TakesMergePatch<UpdateProfileRequest>();
        me.MapPost("/password", ChangePasswordAsync);
        me.MapPost("/delete", DeleteAsync);
        me.MapGet("/sessions", ListSessionsAsync);
        me.MapDelete("/sessions/{id:guid}", EndSessionAsync);

        app.MapGet("/v1/users/{username}", FindAsync).RequireAuthorization().WithTags("Users");
    }

    [EndpointName("getProfile"), EndpointSummary("The caller's account.")]
    internal static async Task<Ok<Profile>> GetProfileAsync(Caller caller, UserStore users, CancellationToken cancellationToken) =>
        TypedResults.Ok(users.Describe(await RequireAsync(users, caller, cancellationToken)));

    [EndpointName("updateProfile"), EndpointSummary("Changes the caller's e-mail address, which takes the password.")]
    [EndpointDescription("A merge patch (RFC 7396): what is left out stays as it is.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    internal static async Task<Ok<Profile>> UpdateProfileAsync(
        UpdateProfileRequest request, Caller caller, Requester requester, AccountRules rules, PasswordCheck check, RateLimits rates, Database database, UserStore users,
        CancellationToken cancellationToken)
    {
        if (request.Email is null)
            return await GetProfileAsync(caller, users, cancellationToken);
        if (request.Password is null)
            throw ApiException.Invalid("password must be given when the address changes.", "password");
        var (email, password) = (rules.Email(request.Email), rules.GivenPassword(request.Password));
        var user = await RequireAsync(users, caller, cancellationToken);
        await check.ConfirmAsync(requester, user, password, cancellationToken);
        // The answer tells whether an address is in use, as that of a sign-up does.
        rates.EmailChanges.Spend(caller.UserId);
        rates.SignUps.Spend(requester.Address);
        await database.WriteAsync(
            async transaction =>
            {
                RefuseIfChanged(user, await users.LockAsync(transaction, caller.UserId, cancellationToken));
                await users.SetEmailAsync(transaction, caller.UserId, email, cancellationToken);
            },
            cancellationToken);
        return TypedResults.Ok(users.Describe(await RequireAsync(users, caller, cancellationToken)));
    }

    [EndpointName("changePassword"), EndpointSummary("Changes the password and ends every other session of the account.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    internal static async Task<NoContent> ChangePasswordAsync(
        ChangePasswordRequest request, Caller caller, Requester requester, AccountRules rules, PasswordCheck check, PasswordHasher hasher, Database database,
        UserStore users, SessionStore sessions, CancellationToken cancellationToken)
    {
        var (current, next) = (rules.GivenPassword(request.CurrentPassword, "currentPassword"), rules.NewPassword(request.NewPassword, "newPassword"));
        var user = await RequireAsync(users, caller, cancellationToken);
        await check.ConfirmAsync(requester, user, current, cancellationToken);
        var hash = await hasher.HashAsync(requester, next, cancellationToken);
        var ended = await database.WriteAsync(
            async transaction =>
            {
                var locked = await users.LockAsync(transaction, caller.UserId, cancellationToken);
                RefuseIfChanged(user, locked);
                await users.SetPasswordAsync(transaction, caller.UserId, hash, cancellationToken);
                return await sessions.EndAllAsync(transaction, caller.UserId, caller.SessionId, cancellationToken);
            },
            cancellationToken);
        sessions.RaiseEnded(ended, SessionEndReason.LoggedOut);
        return TypedResults.NoContent();
    }

    [EndpointName("deleteAccount"), EndpointSummary("Erases the account and everything the server can attribute to it.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    internal static async Task<NoContent> DeleteAsync(
        DeleteAccountRequest request, Caller caller, Requester requester, AccountRules rules, PasswordCheck check, Database database, UserStore users,
        SessionStore sessions, MemberErasure erasure, ILogger<UserStore> logger, CancellationToken cancellationToken)
    {
        var user = await RequireAsync(users, caller, cancellationToken);
        await check.ConfirmAsync(requester, user, rules.GivenPassword(request.Password), cancellationToken);
        var seen = await erasure.EraseContentAsync(caller.UserId, cancellationToken);
        var (makeKnown, ended) = await database.WriteAsync(
            async transaction =>
            {
                // The lock keeps new sessions out: each would be erased with the account, but its sockets would not hear of it.
                var locked = await users.LockAsync(transaction, caller.UserId, cancellationToken);
                RefuseIfChanged(user, locked);
                var known = await erasure.EraseAsync(transaction, caller.UserId, seen, cancellationToken);
                var live = await sessions.EraseAsync(transaction, caller.UserId, cancellationToken);
                await UserStore.DeleteAsync(transaction, caller.UserId, cancellationToken);
                return (known, live);
            },
            cancellationToken);
        sessions.RaiseEnded(ended, SessionEndReason.AccountClosed);
        await makeKnown();
        Erased(logger, ended.Count);
        return TypedResults.NoContent();
    }

    [EndpointName("listSessions"), EndpointSummary("The caller's sessions, those that go on first.")]
    internal static async Task<Ok<SessionSummary[]>> ListSessionsAsync(Caller caller, SessionStore sessions, CancellationToken cancellationToken)
    {
        var rows = await sessions.ListAsync(caller.UserId, cancellationToken);
        return TypedResults.Ok(rows.Select(row => new SessionSummary(row.Id, row.StartedAt, row.EndedAt, row.Id == caller.SessionId)).ToArray());
    }

    [EndpointName("endSession"), EndpointSummary("Ends one of the caller's sessions and closes its sockets.")]
    private static async Task<NoContent> EndSessionAsync(Guid id, Caller caller, SessionStore sessions, CancellationToken cancellationToken) =>
        await sessions.EndAsync(caller.UserId, id, cancellationToken) ? TypedResults.NoContent() : throw ApiException.NotFound();

    [EndpointName("findUser"), EndpointSummary("Another account by its exact username.")]
    private static async Task<Ok<UserSummary>> FindAsync(string username, UserStore users, CancellationToken cancellationToken) =>
        TypedResults.Ok(await users.FindByUsernameAsync(username, cancellationToken) ?? throw ApiException.NotFound());

    private static async Task<UserRow> RequireAsync(UserStore users, Caller caller, CancellationToken cancellationToken) =>
        await users.FindAsync(caller.UserId, cancellationToken) ?? throw new ApiException(ErrorCode.Unauthenticated, "The account has been deleted.");

    /// <summary>The password was checked outside the transaction; another change may have come between.</summary>
    private static void RefuseIfChanged(UserRow confirmed, UserRow? locked)
    {
        if (locked?.PasswordHash != confirmed.PasswordHash)
            throw new ApiException(ErrorCode.Conflict, "The password was changed at the same moment.");
    }

    [LoggerMessage(2100, LogLevel.Information, "An account was erased with {Sessions} live sessions")]
    private static partial void Erased(ILogger logger, int sessions);
}
