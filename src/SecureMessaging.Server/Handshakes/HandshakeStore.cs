using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Handshakes;

/// <summary>Who comes and goes with a commit, by account.</summary>
internal sealed record RosterPlan(IReadOnlyList<(Guid UserId, RoomRole Role)> Add, IReadOnlyList<Guid> Remove)
{
    public static RosterPlan Nothing { get; } = new([], []);
}

/// <summary>A handshake whose framing has been checked.</summary>
internal sealed record Handshake(Guid RoomId, Guid Id, long Epoch, int Generation, byte[] Message);

/// <summary>
/// The Delivery Service's part in MLS (RFC 9750 section 5): of all commits for an epoch exactly one wins, and with it, in one transaction, its roster change and its
/// Welcomes take effect.
/// </summary>
internal sealed class HandshakeStore(
    Database database, LogStore log, RosterStore roster, WelcomeStore welcomes, OwnerProof ownerProof, CommitFeed feed)
{
    private const string EarlierSql = "select seq, kind, created_at, owner_proof, ciphertext from entries where room_id = @RoomId and id = @Id";

    // The one winner: whoever comes second finds another epoch.
    private const string AdvanceSql = """
        update rooms set epoch = epoch + 1 where id = @RoomId and epoch = @Epoch and generation = @Generation
        """;

    private const string NoteCommitSql = "update rooms set commit_seq = @Seq where id = @RoomId";

    /// <remarks>
    /// 1. Lock the room; the caller must be a member. 2. The same commit again returns the first answer. 3. Advance the epoch or refuse. 4. Take out who leaves, append the commit,
    /// let in who joins. 5. Store the Welcomes for devices of those who are members now. Whatever fails takes everything back.
    /// </remarks>
    public async Task<(CommitAck Ack, IReadOnlyList<WelcomedDevice> Welcomed)> CommitAsync(
        Caller caller, Handshake handshake, RosterPlan plan, byte[][] messages, IReadOnlyList<List<byte[]>> references, CancellationToken cancellationToken)
    {
        var roomId = handshake.RoomId;
        var proof = ownerProof.Compute(caller.UserId, roomId, handshake.Id);
        var entries = new List<LogEntry>();
        var welcomed = new List<WelcomedDevice>();
        var ack = await feed.WriteAsync(roomId, () => database.WriteAsync(
            async transaction =>
            {
                entries.Clear();
                welcomed.Clear();
                await log.LockRoomAsync(transaction, roomId, cancellationToken);
                var own = await RosterStore.RequireRoleAsync(transaction, roomId, caller.UserId, cancellationToken);
                if (await FindEarlierAsync(transaction, handshake, EntryKind.Commit, proof, cancellationToken) is { } earlier)
                    return new CommitAck(roomId, handshake.Id, earlier.Seq, handshake.Epoch + 1, Duplicate: true);
                var group = await GroupRow.RequireAsync(transaction, roomId, cancellationToken);
                if (await transaction.ExecuteAsync(AdvanceSql, new { RoomId = roomId, handshake.Epoch, handshake.Generation }, cancellationToken) == 0)
                    throw WrongEpoch(group);

                foreach (var userId in plan.Remove)
                    Add(entries, await roster.RemoveOtherAsync(transaction, roomId, own, userId, cancellationToken));
                var commit = await log.AppendAsync(transaction, roomId, Entry(EntryKind.Commit, handshake, caller, group), cancellationToken, proof);
                entries.Add(commit);
                foreach (var (userId, role) in plan.Add)
                    Add(entries, await roster.AddAsync(transaction, roomId, own, userId, role, cancellationToken));
                await transaction.ExecuteAsync(NoteCommitSql, new { RoomId = roomId, commit.Seq }, cancellationToken);
                await GroupResetStore.ForgetAsync(transaction, roomId, cancellationToken);

                var recipients = await welcomes.FindAsync(transaction, roomId, references, cancellationToken);
                for (var i = 0; i < recipients.Length; i++)
                {
                    await welcomes.AddAsync(transaction, roomId, group.Generation, commit.Seq, i, messages[i], recipients[i], cancellationToken);
                    welcomed.AddRange(recipients[i]);
                }

                return new CommitAck(roomId, handshake.Id, commit.Seq, handshake.Epoch + 1, Duplicate: false);
            },
            cancellationToken));
        await PublishAsync(roomId, entries, ack.Duplicate);
        return (ack, welcomed);
    }

    /// <summary>Appends a proposal, which only the current epoch takes: a commit can refer to no other.</summary>
    public async Task<SendAck> ProposeAsync(Caller caller, Handshake handshake, CancellationToken cancellationToken)
    {
        var roomId = handshake.RoomId;
        var proof = ownerProof.Compute(caller.UserId, roomId, handshake.Id);
        var entries = new List<LogEntry>();
        var ack = await feed.WriteAsync(roomId, () => database.WriteAsync(
            async transaction =>
            {
                entries.Clear();
                await log.LockRoomAsync(transaction, roomId, cancellationToken);
                await RosterStore.RequireRoleAsync(transaction, roomId, caller.UserId, cancellationToken);
                if (await FindEarlierAsync(transaction, handshake, EntryKind.Proposal, proof, cancellationToken) is { } earlier)
                    return new SendAck(roomId, handshake.Id, earlier.Seq, earlier.CreatedAt, Duplicate: true);
                var group = await GroupRow.RequireAsync(transaction, roomId, cancellationToken);
                if (handshake.Epoch != group.Epoch || handshake.Generation != group.Generation)
                    throw WrongEpoch(group);
                entries.Add(await log.AppendAsync(transaction, roomId, Entry(EntryKind.Proposal, handshake, caller, group), cancellationToken, proof));
                return new SendAck(roomId, handshake.Id, entries[0].Seq, entries[0].CreatedAt, Duplicate: false);
            },
            cancellationToken));
        await PublishAsync(roomId, entries, ack.Duplicate);
        return ack;
    }

    private static async Task<EarlierRow?> FindEarlierAsync(
        DbTransaction transaction, Handshake handshake, EntryKind kind, byte[] proof, CancellationToken cancellationToken)
    {
        var earlier = await transaction.QuerySingleAsync<EarlierRow>(EarlierSql, new { handshake.RoomId, handshake.Id }, cancellationToken);
        if (earlier is null)
            return null;
        // One whose content has expired is known by its owner alone.
        var same = (earlier.Kind == kind || earlier.Kind == EntryKind.Gone) && earlier.OwnerProof.AsSpan().SequenceEqual(proof)
            && (earlier.Ciphertext is null || earlier.Ciphertext.AsSpan().SequenceEqual(handshake.Message));
        return same ? earlier : throw new ApiException(ErrorCode.Conflict, "This id was used with other content. Choose a new id.");
    }

    private static LogEntry Entry(EntryKind kind, Handshake handshake, Caller caller, GroupRow group) => new(
        0, kind, default, handshake.Id, handshake.Message, handshake.Epoch, group.Visible ? caller.UserId : null);

    private static ApiException WrongEpoch(GroupRow group) => new(ErrorCode.WrongEpoch, "The room's group is in another epoch.") { CurrentEpoch = group.Epoch };

    private static void Add(List<LogEntry> entries, LogEntry? entry)
    {
        if (entry is not null)
            entries.Add(entry);
    }

    /// <summary>One contiguous run. A repeated attempt may be the first that anybody hears of.</summary>
    private async Task PublishAsync(Guid roomId, List<LogEntry> entries, bool duplicate)
    {
        if (duplicate)
            feed.Doubt(roomId);
        await feed.PublishAsync(roomId, [.. entries]);
    }

    private sealed record EarlierRow
    {
        public long Seq { get; init; }
        public EntryKind Kind { get; init; }
        public DateTime CreatedAt { get; init; }
        public byte[]? OwnerProof { get; init; }
        public byte[]? Ciphertext { get; init; }
    }
}
