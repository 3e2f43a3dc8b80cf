using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Privacy;

/// <summary>What the server stores about an account only while the account wants it, the same for all doors.</summary>
internal sealed class PrivacyOperations(Database database, UserStore users)
{
    public async Task<PrivacySettings> GetAsync(Caller caller, CancellationToken cancellationToken) =>
        new((await users.RequireAsync(caller, cancellationToken)).DeliveryCursor);

    /// <summary>Turning the cursor off also deletes what is stored.</summary>
    public Task ChangeAsync(Caller caller, PrivacySettings request, CancellationToken cancellationToken) => database.WriteAsync(
        async transaction =>
        {
            await users.SetDeliveryCursorAsync(transaction, caller.UserId, request.DeliveryCursor, cancellationToken);
            if (!request.DeliveryCursor)
                await LogStore.ForgetDeliveredAsync(transaction, caller.UserId, cancellationToken);
        },
        cancellationToken);
}
