using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Encryption;

internal sealed record Handshake(Guid RoomId, EntryKind Kind, Guid Id, long Epoch, int Generation, byte[] Message);

internal sealed record EarlierRow
{
    public long Seq { get; init; }
    public EntryKind Kind { get; init; }
    public DateTime? CreatedAt { get; init; }
    public byte[]? OwnerProof { get; init; }
    public int KeyVersion { get; init; }
    public byte[]? Ciphertext { get; init; }
}

/// <summary>What a commit changes in its room, and how a retry finds its entry.</summary>
internal static class HandshakeStore
{
    private const string EarlierSql = "select seq, kind, created_at, owner_proof, key_version, ciphertext from entries where room_id = @RoomId and id = @Id";

    // Exactly one commit wins: the next one finds another epoch.
    private const string AdvanceSql = """
        update rooms set epoch = epoch + 1 where id = @RoomId and epoch = @Epoch and generation = @Generation
        """;

    private const string NoteCommitSql = "update rooms set commit_seq = @Seq where id = @RoomId";

    /// <summary>The entry of an earlier attempt. Rejects other content under the same id.</summary>
    public static async Task<EarlierRow?> FindEarlierAsync(
        DbTransaction transaction, Guid userId, Handshake handshake, OwnerProof ownerProof, CancellationToken cancellationToken)
    {
        var earlier = await transaction.QuerySingleAsync<EarlierRow>(EarlierSql, new { handshake.RoomId, handshake.Id }, cancellationToken);
        if (earlier is null)
            return null;
        // After the content has expired, only the owner proof identifies the entry.
        var same = (earlier.Kind == handshake.Kind || earlier.Kind == EntryKind.Gone) && earlier.OwnerProof is { } proof
            && ownerProof.Verify(userId, handshake.RoomId, handshake.Id, proof, earlier.KeyVersion)
            && (earlier.Ciphertext is null || earlier.Ciphertext.AsSpan().SequenceEqual(handshake.Message));
        return same ? earlier : throw new ApiException(ErrorCode.Conflict, "This id was already used with different content. Choose a new id.");
    }

    /// <summary>Starts the next epoch. False: the group is in another epoch or generation than the commit.</summary>
    public static async Task<bool> TryAdvanceAsync(DbTransaction transaction, Handshake commit, CancellationToken cancellationToken) =>
        await transaction.ExecuteAsync(AdvanceSql, new { commit.RoomId, commit.Epoch, commit.Generation }, cancellationToken) == 1;

    public static Task NoteCommitAsync(DbTransaction transaction, Guid roomId, long seq, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(NoteCommitSql, new { RoomId = roomId, Seq = seq }, cancellationToken);
}
