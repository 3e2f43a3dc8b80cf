using System.Collections.Concurrent;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;

namespace SecureMessaging.Server.Cluster;

/// <summary>
/// Reads from the database what the bus may have lost: heads, joins and ended sessions. Every 0.5 s while the bus is down, every 2 s to 10 s while it works, at
/// once when it is back. It also confirms what the bus reports, so that an attacker with write access to Redis cannot add or remove members.
/// </summary>
/// <remarks>
/// Heads are read every 2 s even on a healthy bus: another node may have lost Redis, or have died between a commit and its publish.
/// </remarks>
internal sealed partial class Reconciler(
    Database database, NodeBus bus, NodeTable nodes, DeliveryShards shards, Subscribers subscribers, ReconcilerSchedule schedule, TimeProvider time,
    ILogger<Reconciler> logger) : BackgroundService
{
    private const int Chunk = 2000;
    private readonly OncePerMinute lines = new(time);

    /// <summary>Notices that wait at most. Further ones are dropped: the next reconciliation finds what they reported.</summary>
    private const int MaxNotices = 10_000;

    private static readonly TimeSpan LookForNodes = TimeSpan.FromSeconds(2);

    private const string HeadsSql = "select id as room_id, last_seq from rooms where id = any(@Ids)";

    private const string MembershipsSql = """
        select m.user_id, m.room_id, m.joined_seq, r.last_seq from room_members m join rooms r on r.id = m.room_id where m.user_id = any(@Ids)
        """;

    // By the entry and not by the roster: a user who joined and left again still receives the entries in between.
    private const string JoiningsSql = """
        select e.user_id, e.room_id, e.seq as joined_seq from unnest(@RoomIds, @Seqs) as h (room_id, seq)
        join entries e on e.room_id = h.room_id and e.seq = h.seq
        where e.kind = @Joined and e.user_id is not null
        """;

    private const string LiveSessionsSql = "select id from sessions where id = any(@Ids) and ended_at is null";

    private readonly ConcurrentDictionary<BusNotice, bool> notices = new();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!database.IsPostgres)
            return;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (!bus.IsEnabled && !nodes.HasOthers)
                {
                    await Task.Delay(LookForNodes, time, stoppingToken);
                    continue;
                }

                await schedule.WaitAsync(IsHealthy(), stoppingToken);
                var due = schedule.Take(IsHealthy());
                if (due.HasFlag(ReconcilerSteps.Rooms))
                    await ReconcileRoomsAsync(shards.Rooms(), stoppingToken);
                if (due.HasFlag(ReconcilerSteps.Memberships))
                    await ReconcileMembershipsAsync(stoppingToken);
                if (due.HasFlag(ReconcilerSteps.Sessions))
                    await ReconcileSessionsAsync(subscribers.All().Select(subscriber => subscriber.SessionId), SessionEndReason.LoggedOut, stoppingToken);
                // Last: when it fails, its notices stay for the next turn.
                await FollowNoticesAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // The next turn tries again.
                if (lines.Allows(exception.GetType().Name, out var others))
                    Failed(logger, exception.GetType().Name, others);
            }
        }
    }

    /// <summary>A node without Redis, or on a different one, is followed as if Redis were away.</summary>
    private bool IsHealthy() => bus.IsHealthy && nodes.AllReached;

    /// <summary>Keeps a notice that concerns a connection of this node.</summary>
    public void Note(BusNotice notice)
    {
        var concerned = notice.Kind switch
        {
            BusMessageKind.Joined => !subscribers.Of(notice.UserId).IsEmpty,
            BusMessageKind.RoomDeleted => shards.Has(notice.Id),
            _ => subscribers.All().Any(subscriber => subscriber.SessionId == notice.Id),
        };
        if (concerned && notices.Count < MaxNotices && notices.TryAdd(notice, true))
            schedule.Wake();
    }

    private async Task FollowNoticesAsync(CancellationToken cancellationToken)
    {
        if (notices.IsEmpty)
            return;
        // Removed before the lookup, so that a notice that comes again during it stays for the next turn.
        var taken = notices.Keys.Where(notice => notices.TryRemove(notice, out _)).ToList();
        try
        {
            await FollowAsync(taken.ToLookup(notice => notice.Kind), cancellationToken);
        }
        catch
        {
            // A user who joined and left again shows in no other lookup.
            taken.ForEach(notice => notices.TryAdd(notice, true));
            throw;
        }
    }

    private async Task FollowAsync(ILookup<BusMessageKind, BusNotice> taken, CancellationToken cancellationToken)
    {
        foreach (var ended in taken[BusMessageKind.SessionEnded].GroupBy(notice => notice.Reason, notice => notice.Id))
            await ReconcileSessionsAsync(ended, ended.Key, cancellationToken);
        await ReconcileRoomsAsync(taken[BusMessageKind.RoomDeleted].Select(notice => notice.Id), cancellationToken);
        foreach (var joined in taken[BusMessageKind.Joined].Chunk(Chunk))
        {
            var parameters = new
            {
                RoomIds = joined.Select(notice => notice.Id).ToArray(),
                Seqs = joined.Select(notice => notice.Seq).ToArray(),
                Joined = (int)EntryKind.MemberJoined,
            };
            var entries = await database.ReadAsync(
                connection => connection.QueryAsync<JoinedRow>(JoiningsSql, parameters, cancellationToken), cancellationToken);
            foreach (var entry in entries)
                shards.Join(entry.RoomId, entry.UserId, entry.JoinedSeq, entry.JoinedSeq);
        }
    }

    private async Task ReconcileRoomsAsync(IEnumerable<Guid> rooms, CancellationToken cancellationToken)
    {
        foreach (var ids in rooms.Chunk(Chunk))
        {
            var heads = await QueryAsync<HeadRow>(HeadsSql, ids, cancellationToken);
            foreach (var head in heads)
                shards.NoteHead(head.RoomId, head.LastSeq);
            foreach (var gone in ids.Except(heads.Select(head => head.RoomId)))
                shards.Delete(gone);
        }
    }

    private async Task ReconcileMembershipsAsync(CancellationToken cancellationToken)
    {
        foreach (var ids in subscribers.All().Select(subscriber => subscriber.UserId).Distinct().Chunk(Chunk))
        {
            foreach (var membership in await QueryAsync<MembershipRow>(MembershipsSql, ids, cancellationToken))
            {
                if (subscribers.Of(membership.UserId).Any(subscriber => subscriber.Lacks(membership.RoomId)))
                    shards.Join(membership.RoomId, membership.UserId, membership.JoinedSeq, membership.LastSeq);
            }
        }
    }

    private async Task ReconcileSessionsAsync(IEnumerable<Guid> sessions, SessionEndReason reason, CancellationToken cancellationToken)
    {
        foreach (var ids in sessions.Distinct().Chunk(Chunk))
        {
            foreach (var ended in ids.Except(await QueryAsync<Guid>(LiveSessionsSql, ids, cancellationToken)))
                subscribers.EndSession(ended, reason);
        }
    }

    private Task<List<T>> QueryAsync<T>(string sql, Guid[] ids, CancellationToken cancellationToken) =>
        database.ReadAsync(connection => connection.QueryAsync<T>(sql, new { Ids = ids }, cancellationToken), cancellationToken);

    [LoggerMessage(4300, LogLevel.Warning, "Reconciliation with the database failed ({ExceptionType}; {Count} more since the last such line)")]
    private static partial void Failed(ILogger logger, string exceptionType, int count);

    private sealed record HeadRow
    {
        public Guid RoomId { get; init; }
        public long LastSeq { get; init; }
    }

    private sealed record JoinedRow
    {
        public Guid UserId { get; init; }
        public Guid RoomId { get; init; }
        public long JoinedSeq { get; init; }
    }

    private sealed record MembershipRow
    {
        public Guid UserId { get; init; }
        public Guid RoomId { get; init; }
        public long JoinedSeq { get; init; }
        public long LastSeq { get; init; }
    }
}
