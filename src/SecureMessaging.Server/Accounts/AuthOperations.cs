using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Accounts;

/// <summary>Sign-up, sign-in and refresh, the same for all doors. A door counts these requests for their address before it calls.</summary>
internal sealed class AuthOperations(
    AccountRules rules, PasswordCheck check, PasswordHasher hasher, LoginThrottle throttle, UserStore users, SessionOperations sessions,
    AccessTokens tokens)
{
    public async Task<TokenResponse> SignUpAsync(Requester requester, SignUpRequest request, CancellationToken cancellationToken)
    {
        var username = rules.Username(request.Username);
        var email = rules.Email(request.Email);
        var hash = await hasher.HashAsync(requester.Anonymous, rules.NewPassword(request.Password), cancellationToken);
        var grant = await sessions.StartAsync(
            transaction => users.CreateAsync(transaction, username, email, hash, UserRole.User, cancellationToken), cancellationToken);
        throttle.Remember(grant.UserId, requester.Address);
        return Respond(grant, username, admin: false);
    }

    public async Task<TokenResponse> SignInAsync(Requester requester, TokenRequest request, CancellationToken cancellationToken)
    {
        var password = rules.GivenPassword(request.Password);
        var (user, renew) = await check.SignInAsync(requester.Anonymous, rules.Login(request.Username), password, cancellationToken);
        var better = renew ? await hasher.HashAsync(requester.Anonymous, password, cancellationToken) : null;
        var grant = await sessions.StartAsync(transaction => AdmitAsync(transaction, user, better, cancellationToken), cancellationToken);
        return Respond(grant, user.Username, user.IsAdmin);
    }

    public async Task<TokenResponse> RefreshAsync(Requester requester, RefreshRequest request, CancellationToken cancellationToken)
    {
        if (await sessions.RenewAsync(request.RefreshToken, cancellationToken) is not { } grant
            || await users.FindAsync(grant.UserId, cancellationToken) is not { Disabled: false } user)
        {
            throw new ApiException(ErrorCode.Unauthenticated, "The refresh token is not valid, or no longer valid. Sign in again.");
        }

        throttle.Remember(user.Id, requester.Address);
        return Respond(grant, user.Username, user.IsAdmin);
    }

    /// <summary>The password was checked outside the transaction, so the hash that it was checked against must still be the stored one.</summary>
    private async Task<Guid> AdmitAsync(DbTransaction transaction, UserRow user, string? betterHash, CancellationToken cancellationToken)
    {
        if (await users.LockAsync(transaction, user.Id, cancellationToken) is not { Disabled: false } now || now.PasswordHash != user.PasswordHash)
            throw new ApiException(ErrorCode.Unauthenticated, "The username or the password is wrong.");
        if (betterHash is not null)
            await users.SetPasswordAsync(transaction, user.Id, betterHash, cancellationToken);
        return user.Id;
    }

    private TokenResponse Respond(Grant grant, string username, bool admin)
    {
        var (token, expiresIn) = tokens.Issue(new Caller(grant.UserId, grant.SessionId), admin, grant.ExpiresAt);
        return new TokenResponse(grant.UserId, username, grant.SessionId, token, expiresIn, grant.RefreshToken, grant.ExpiresAt);
    }
}
