using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.Limiting;

/// <summary>How many bytes may be stored. Section <c>Quotas</c>. An empty value is no quota.</summary>
internal sealed class QuotaOptions
{
    public const string Section = "Quotas";

    /// <summary>What one account may send and upload in a day: ciphertexts, handshakes, KeyPackages. Counted in memory, on each node.</summary>
    [Range(1024, int.MaxValue)]
    public int? AccountBytesPerDay { get; set; } = 256 * 1024 * 1024;

    /// <summary>What may be stored in one room in a day. Counted in memory, on each node.</summary>
    [Range(1024, int.MaxValue)]
    public int? RoomBytesPerDay { get; set; } = 1024 * 1024 * 1024;

    /// <summary>What one room may hold in all. Each node counts it anew in the database after a twentieth of it has been sent there.</summary>
    [Range(1024, 1L << 50)]
    public long? RoomBytes { get; set; } = 10L * 1024 * 1024 * 1024;
}
