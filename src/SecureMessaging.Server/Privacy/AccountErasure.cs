using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Privacy;

/// <summary>Erases an account and everything that the server can attribute to it. All doors call it.</summary>
internal sealed partial class AccountErasure(
    AccountRules rules, PasswordCheck check, Database database, UserStore users, SessionStore sessions, SessionEvents events, MemberErasure rooms,
    ILogger<AccountErasure> logger)
{
    /// <summary>Requires the current password. Closes the account's connections on every node.</summary>
    public async Task EraseAsync(Requester requester, DeleteAccountRequest request, CancellationToken cancellationToken)
    {
        var caller = requester.RequireCaller();
        var user = await users.RequireAsync(caller, cancellationToken);
        await check.ConfirmAsync(requester, user, rules.GivenPassword(request.Password), cancellationToken);
        var seen = await rooms.EraseContentAsync(caller.UserId, cancellationToken);
        var (publish, ended) = await database.WriteAsync(
            async transaction =>
            {
                // The lock prevents new sessions: they would be erased with the account, but their connections would stay open.
                user.RequireUnchanged(await users.LockAsync(transaction, caller.UserId, cancellationToken));
                var known = await rooms.EraseAsync(transaction, caller.UserId, seen, cancellationToken);
                var live = await sessions.EraseAsync(transaction, caller.UserId, cancellationToken);
                await users.DeleteAsync(transaction, user, cancellationToken);
                return (known, live);
            },
            cancellationToken);
        events.RaiseEnded(ended, SessionEndReason.AccountClosed);
        await publish();
        Erased(logger, ended.Count);
    }

    [LoggerMessage(2100, LogLevel.Information, "An account was erased with {Sessions} live sessions")]
    private static partial void Erased(ILogger logger, int sessions);
}
