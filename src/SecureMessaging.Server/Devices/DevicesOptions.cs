using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.Devices;

/// <summary>When devices are asked for more KeyPackages. Section <c>Devices</c>.</summary>
internal sealed class DevicesOptions
{
    public const string Section = "Devices";

    /// <summary>Fewer KeyPackages than this left: the device is asked for more.</summary>
    [Range(0, 100)]
    public int LowStock { get; set; } = 10;
}
