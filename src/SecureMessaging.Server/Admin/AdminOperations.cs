using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.Platform.Startup;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Admin;

/// <summary>What administrators of the server may do, the same for all doors. A door has checked that the caller is one.</summary>
internal sealed partial class AdminOperations(
    Database database, UserStore users, SessionStore sessions, SessionOperations ending, RoomStore rooms, IOptions<ServerOptions> options,
    ILogger<AdminOperations> logger)
{
    public async Task<AdminStats> CountAsync(CancellationToken cancellationToken)
    {
        var (accounts, logs) = (await users.CountAsync(cancellationToken), await rooms.CountAsync(cancellationToken));
        var live = await sessions.CountLiveAsync(cancellationToken);
        return new AdminStats(options.Value.NodeName, accounts.Users, accounts.Disabled, accounts.Admins, live, logs.Rooms, logs.Entries);
    }

    public async Task DisableAsync(Caller caller, string username, CancellationToken cancellationToken)
    {
        var id = await FindAsync(username, cancellationToken);
        if (id == caller.UserId)
            throw new ApiException(ErrorCode.Conflict, "You cannot disable your own account. Ask another administrator.");
        var ended = await ending.EndAllAsync(
            id, except: null, SessionEndReason.AccountClosed,
            async transaction =>
            {
                // The lock keeps new sessions out until they find the account disabled.
                _ = await users.LockAsync(transaction, id, cancellationToken) ?? throw ApiException.NotFound();
                await users.SetDisabledAsync(transaction, id, disabled: true, cancellationToken);
            },
            cancellationToken);
        Disabled(logger, caller.UserId, id, ended);
    }

    public async Task EnableAsync(Caller caller, string username, CancellationToken cancellationToken)
    {
        var id = await FindAsync(username, cancellationToken);
        await database.WriteAsync(transaction => users.SetDisabledAsync(transaction, id, disabled: false, cancellationToken), cancellationToken);
        Enabled(logger, caller.UserId, id);
    }

    private async Task<Guid> FindAsync(string username, CancellationToken cancellationToken) =>
        username.Contains('@', StringComparison.Ordinal)
            ? throw ApiException.NotFound()
            : (await users.FindByLoginAsync(username.ToLowerInvariant(), cancellationToken) ?? throw ApiException.NotFound()).Id;

    [LoggerMessage(6000, LogLevel.Warning, "Administrator {Administrator} disabled account {Account}; {Sessions} sessions ended")]
    private static partial void Disabled(ILogger logger, Guid administrator, Guid account, int sessions);

    [LoggerMessage(6001, LogLevel.Warning, "Administrator {Administrator} enabled account {Account}")]
    private static partial void Enabled(ILogger logger, Guid administrator, Guid account);
}
