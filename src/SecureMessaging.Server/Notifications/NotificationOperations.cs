using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Notifications;

/// <summary>Notification settings and push endpoints, the same for all doors.</summary>
internal sealed class NotificationOperations(SettingsStore settings, PushStore endpoints, PushAddress addresses, PushSender sender)
{
    public async Task<AccountSettings> GetAsync(Caller caller, CancellationToken cancellationToken)
    {
        var (everywhere, rooms) = await settings.ReadAsync(caller.UserId, cancellationToken);
        var registered = await endpoints.IsRegisteredAsync(caller, cancellationToken);
        return new AccountSettings(everywhere, rooms, new PushStatus(sender.PublicKey, registered));
    }

    public Task ChangeAsync(Caller caller, NotificationSettings request, CancellationToken cancellationToken)
    {
        NotificationRules.Require(request);
        return settings.SetAsync(caller, request, cancellationToken);
    }

    public Task ChangeRoomAsync(Caller caller, Guid roomId, NotificationSettings request, CancellationToken cancellationToken)
    {
        NotificationRules.Require(request);
        return settings.SetRoomAsync(caller, roomId, request, cancellationToken);
    }

    public Task ResetRoomAsync(Caller caller, Guid roomId, CancellationToken cancellationToken) => settings.ResetRoomAsync(caller, roomId, cancellationToken);

    public Task RegisterPushAsync(Caller caller, RegisterPushRequest request, CancellationToken cancellationToken) =>
        endpoints.RegisterAsync(caller, addresses.Require(request.Endpoint), cancellationToken);

    public Task UnregisterPushAsync(Caller caller, CancellationToken cancellationToken) => endpoints.RemoveAsync(caller, cancellationToken);
}
