using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Accounts;

/// <summary>Checks passwords, at sign-in and for actions that require it again. All failures have the same reply after the same work.</summary>
internal sealed class PasswordCheck(UserStore users, PasswordHasher hasher, LoginThrottle throttle, SecurityEvents events)
{
    /// <summary>The account of this username or e-mail address (in lower case) and password, and whether its hash should be replaced.</summary>
    public async Task<(UserRow User, bool Renew)> SignInAsync(Requester requester, string login, Password password, CancellationToken cancellationToken)
    {
        var user = await users.FindByLoginAsync(login, cancellationToken);
        // Guesses of strangers do not slow down the owner at an address of an earlier sign-in.
        var counted = user is not null && throttle.IsKnown(user.Id, requester.Address) ? $"known {user.Id} {requester.Address}" : $"name {login}";
        var fit = await VerifyAsync(requester, user, counted, password, cancellationToken);
        if (fit == PasswordFit.No)
        {
            events.Count(user is { IsAdmin: true } ? SecurityCause.SignInAsAdministratorFailed : SecurityCause.SignInFailed);
            throw new ApiException(ErrorCode.Unauthenticated, "The username or the password is wrong.");
        }

        throttle.Remember(user!.Id, requester.Address);
        return (user, fit == PasswordFit.AsTyped || hasher.IsOutdated(user.PasswordHash));
    }

    /// <summary>Failures are counted for the session. An attacker that only knows the name has none.</summary>
    public async Task ConfirmAsync(Requester requester, UserRow user, Password password, CancellationToken cancellationToken)
    {
        if (await VerifyAsync(requester, user, $"session {requester.Caller?.SessionId}", password, cancellationToken) != PasswordFit.No)
            return;
        events.Count(SecurityCause.ConfirmationFailed);
        throw new ApiException(ErrorCode.Forbidden, "The password is wrong.");
    }

    private async Task<PasswordFit> VerifyAsync(Requester requester, UserRow? user, string counted, Password password, CancellationToken cancellationToken)
    {
        if (!throttle.TryEnter(counted, out var wait))
        {
            events.Count(user is { IsAdmin: true } ? SecurityCause.SignInAsAdministratorSlowed : SecurityCause.SignInSlowed);
            throw new ApiException(ErrorCode.RateLimited, "Too many failed sign-ins.") { RetryAfterMs = (int)Math.Ceiling(wait.TotalMilliseconds) };
        }

        try
        {
            var fit = await hasher.VerifyAsync(requester, password, user?.PasswordHash, cancellationToken);
            if (fit != PasswordFit.No && user is { Disabled: false })
            {
                throttle.Succeeded(counted);
                return fit;
            }

            throttle.Failed(counted);
            return PasswordFit.No;
        }
        finally
        {
            throttle.Leave(counted);
        }
    }
}
