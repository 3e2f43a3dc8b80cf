using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Auth;

/// <summary>Proof of a password, at sign-in and wherever an act asks for it again. All ways to fail reply the same after the same work.</summary>
internal sealed class PasswordCheck(UserStore users, PasswordHasher hasher, LoginThrottle throttle)
{
    /// <summary>The account that this username or e-mail address, in lower case, and password belong to.</summary>
    public async Task<UserRow> SignInAsync(string login, string password, CancellationToken cancellationToken)
    {
        throttle.Enter(login);
        var user = await users.FindByLoginAsync(login, cancellationToken);
        if (await VerifyAsync(user, login, password, cancellationToken))
            return user!;
        throw new ApiException(ErrorCode.Unauthenticated, "Wrong name or password.");
    }

    public async Task ConfirmAsync(UserRow user, string password, CancellationToken cancellationToken)
    {
        throttle.Enter(user.Username);
        if (!await VerifyAsync(user, user.Username, password, cancellationToken))
            throw new ApiException(ErrorCode.Forbidden, "The password is wrong.");
    }

    private async Task<bool> VerifyAsync(UserRow? user, string login, string password, CancellationToken cancellationToken)
    {
        var fits = await hasher.VerifyAsync(password, user?.PasswordHash, cancellationToken);
        if (fits && user is { Disabled: false })
        {
            throttle.Succeeded(login);
            return true;
        }

        throttle.Failed(login);
        return false;
    }
}
