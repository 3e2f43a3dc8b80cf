using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.Encryption;

/// <summary>Options of devices. Section <c>Devices</c>.</summary>
internal sealed class DevicesOptions
{
    public const string Section = "Devices";

    /// <summary>A device with fewer KeyPackages gets a hint to upload more.</summary>
    [Range(0, 100)]
    public int LowStock { get; set; } = 10;
}
