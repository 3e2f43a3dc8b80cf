using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Accounts;

/// <summary>What an account may read and change of its own, and how others find it, the same for all doors.</summary>
internal sealed class AccountOperations(
    AccountRules rules, PasswordCheck check, PasswordHasher hasher, RateLimits rates, Database database, UserStore users, SessionOperations sessions)
{
    public async Task<Profile> GetProfileAsync(Caller caller, CancellationToken cancellationToken) =>
        users.Describe(await users.RequireAsync(caller, cancellationToken));

    /// <summary>
    /// A request without an address changes nothing. The response reveals whether the new address is in use, so it also counts as a sign-up of the client's
    /// address. The account's own address reveals nothing: such a request only confirms the password, as clients do before they delete an account.
    /// </summary>
    public async Task<Profile> UpdateProfileAsync(Requester requester, UpdateProfileRequest request, CancellationToken cancellationToken)
    {
        var caller = requester.RequireCaller();
        if (request.Email is null)
            return await GetProfileAsync(caller, cancellationToken);
        if (request.Password is null)
            throw ApiException.Invalid("password must be given when the address changes.", "password");
        var (email, password) = (rules.Email(request.Email), rules.GivenPassword(request.Password));
        var user = await users.RequireAsync(caller, cancellationToken);
        await check.ConfirmAsync(requester, user, password, cancellationToken);
        if (email != users.Describe(user).Email)
        {
            rates.EmailChanges.Spend(caller.UserId);
            rates.SignUps.Spend(requester.Address);
        }

        await database.WriteAsync(
            async transaction =>
            {
                user.RequireUnchanged(await users.LockAsync(transaction, caller.UserId, cancellationToken));
                await users.SetEmailAsync(transaction, caller.UserId, email, cancellationToken);
            },
            cancellationToken);
        return await GetProfileAsync(caller, cancellationToken);
    }

    public async Task ChangePasswordAsync(Requester requester, ChangePasswordRequest request, CancellationToken cancellationToken)
    {
        var caller = requester.RequireCaller();
        var (current, next) = (rules.GivenPassword(request.CurrentPassword, "currentPassword"), rules.NewPassword(request.NewPassword, "newPassword"));
        var user = await users.RequireAsync(caller, cancellationToken);
        await check.ConfirmAsync(requester, user, current, cancellationToken);
        var hash = await hasher.HashAsync(requester, next, cancellationToken);
        await sessions.EndAllAsync(
            caller.UserId, except: caller.SessionId, SessionEndReason.LoggedOut,
            async transaction =>
            {
                user.RequireUnchanged(await users.LockAsync(transaction, caller.UserId, cancellationToken));
                await users.SetPasswordAsync(transaction, caller.UserId, hash, cancellationToken);
            },
            cancellationToken);
    }

    public Task<UserSummary?> FindAsync(string username, CancellationToken cancellationToken) => users.FindByUsernameAsync(username, cancellationToken);
}
