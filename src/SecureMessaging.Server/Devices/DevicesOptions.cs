using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.Devices;

/// <summary>Who may take how many KeyPackages. Section <c>Devices</c>. Counted in memory, on each node.</summary>
internal sealed class DevicesOptions
{
    public const string Section = "Devices";

    /// <summary>KeyPackages that one account may claim at once, enough for the largest room.</summary>
    [Range(1, 1_000_000)]
    public int ClaimBurst { get; set; } = 3000;

    /// <summary>How fast that fills up again.</summary>
    [Range(1, 1_000_000)]
    public int ClaimsPerHour { get; set; } = 3000;

    /// <summary>KeyPackages of one device that one other account may claim at once. Past it there is only the one of last resort, so that nobody empties a stock alone.</summary>
    [Range(1, 1000)]
    public int ClaimBurstPerDevice { get; set; } = 10;

    /// <summary>How fast that fills up again.</summary>
    [Range(1, 1000)]
    public int ClaimsPerDeviceAndHour { get; set; } = 10;

    /// <summary>Fewer KeyPackages than this left: the device is asked for more.</summary>
    [Range(0, 100)]
    public int LowStock { get; set; } = 10;
}
