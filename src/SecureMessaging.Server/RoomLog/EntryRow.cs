using System.Text.Json;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.RoomLog;

/// <summary>A row of <c>entries</c>.</summary>
internal sealed record EntryRow
{
    public const string Columns = "seq, kind, created_at, expires_at, id, ciphertext, epoch, sender_id, target_seq, user_id, role, settings, generation";

    /// <summary>The time of an entry whose content is deleted: the server does not keep it.</summary>
    public static readonly DateTime NoTime = DateTime.UnixEpoch;

    public long? Seq { get; init; }
    public EntryKind Kind { get; init; }
    public DateTime? CreatedAt { get; init; }
    public DateTime? ExpiresAt { get; init; }
    public Guid? Id { get; init; }
    public byte[]? Ciphertext { get; init; }
    public long Epoch { get; init; }
    public Guid? SenderId { get; init; }
    public long? TargetSeq { get; init; }
    public Guid? UserId { get; init; }
    public int? Role { get; init; }
    public byte[]? Settings { get; init; }
    public int? Generation { get; init; }

    /// <summary>The entry as members see it: an expired entry is gone, also before the retention job runs.</summary>
    public LogEntry ToEntry(DateTime now) => Kind == EntryKind.Gone || ExpiresAt <= now
        ? new LogEntry(Seq!.Value, EntryKind.Gone, NoTime)
        : new LogEntry(
            Seq!.Value, Kind, CreatedAt ?? NoTime, Id, Ciphertext, Epoch, SenderId, TargetSeq, UserId, (RoomRole?)Role,
            Settings is null ? null : JsonSerializer.Deserialize<RoomSettings>(Settings, Wire.Json), ExpiresAt, Generation);
}
