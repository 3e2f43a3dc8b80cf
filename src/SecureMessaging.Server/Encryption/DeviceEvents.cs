namespace SecureMessaging.Server.Encryption;

/// <summary>A hint for a device: Welcomes wait for it, if <see cref="Available"/> is null, or it has few KeyPackages left.</summary>
internal readonly record struct DeviceHint(Guid UserId, Guid DeviceId, int? Available);

/// <summary>Sends hints to connected devices. Hints may be lost: a device also checks when it connects.</summary>
internal sealed class DeviceEvents
{
    public event Action<DeviceHint>? Hinted;

    public void RaiseKeyPackagesLow(Guid userId, Guid deviceId, int available) => Hinted?.Invoke(new DeviceHint(userId, deviceId, available));

    public void RaiseWelcomesWaiting(Guid userId, Guid deviceId) => Hinted?.Invoke(new DeviceHint(userId, deviceId, null));
}
