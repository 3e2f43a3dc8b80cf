using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.Limiting;

/// <summary>Bounds of stored bytes. Section <c>Quotas</c>. An empty value means no quota.</summary>
internal sealed class QuotaOptions
{
    public const string Section = "Quotas";

    /// <summary>Bytes that one account may send and upload per day (ciphertexts, handshakes, KeyPackages). Counted in memory, per node.</summary>
    [Range(1024, int.MaxValue)]
    public int? AccountBytesPerDay { get; set; } = 256 * 1024 * 1024;

    /// <summary>Bytes that one room may store per day. Counted in memory, per node.</summary>
    [Range(1024, int.MaxValue)]
    public int? RoomBytesPerDay { get; set; } = 1024 * 1024 * 1024;

    /// <summary>Bytes that one room may hold in total. A node counts them in the database after each twentieth of them that it stores.</summary>
    [Range(1024, 1L << 50)]
    public long? RoomBytes { get; set; } = 10L * 1024 * 1024 * 1024;
}
