namespace SecureMessaging.Server.Devices;

/// <summary>Something that a user's device should look after. <see cref="Available"/> is null when Welcomes wait for it.</summary>
internal readonly record struct DeviceNudge(Guid UserId, Guid DeviceId, int? Available);

/// <summary>Tells whoever holds sockets what devices should look after. Ephemeral: a device looks by itself when it connects.</summary>
internal sealed class DeviceEvents
{
    public event Action<DeviceNudge>? Nudged;

    public void RaiseKeyPackagesLow(Guid userId, Guid deviceId, int available) => Nudged?.Invoke(new DeviceNudge(userId, deviceId, available));

    public void RaiseWelcomesWaiting(Guid userId, Guid deviceId) => Nudged?.Invoke(new DeviceNudge(userId, deviceId, null));
}
