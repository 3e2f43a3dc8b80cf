using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Encryption;

internal sealed record GroupRow
{
    private const string Sql = "select scheme, generation, epoch, visible, group_seq, commit_seq from rooms where id = @RoomId";

    public string Scheme { get; init; } = "";
    public int Generation { get; init; }
    public long Epoch { get; init; }
    public bool Visible { get; init; }
    public long GroupSeq { get; init; }
    public long CommitSeq { get; init; }

    /// <summary>Reads the state. The caller must hold the room's lock (<see cref="LogStore.LockRoomAsync"/>).</summary>
    public static async Task<GroupRow> RequireAsync(DbTransaction transaction, Guid roomId, CancellationToken cancellationToken)
    {
        var group = await transaction.QuerySingleAsync<GroupRow>(Sql, new { RoomId = roomId }, cancellationToken) ?? throw ApiException.NotFound();
        return group.Scheme == Schemes.Mls10 ? group : throw new ApiException(ErrorCode.Conflict, $"The room's scheme is not {Schemes.Mls10}.");
    }
}
