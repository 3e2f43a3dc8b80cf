using System.Collections.Concurrent;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// Looks up in the database what the bus may have lost: how far logs go, who joined, which sessions are over. Often while the bus is down, now and then while
/// it works, at once when it is back. Also what the bus only hints at: whoever can write to Redis lets nobody in and throws nobody out.
/// </summary>
/// <remarks>
/// Heads are looked up every two seconds even when all seems well: another node may have lost Redis, or died between a commit and its publish, which this
/// one cannot know.
/// </remarks>
internal sealed partial class LogSweep(
    Database database, NodeBus bus, NodeTable nodes, RoomTails tails, ChatConnections connections, TimeProvider time, ILogger<LogSweep> logger)
    : BackgroundService
{
    private const int Chunk = 2000;
    private readonly OncePerMinute lines = new(time);

    /// <summary>Hints that wait to be looked up. Past it they are dropped: the next sweep finds what they meant.</summary>
    private const int MaxHints = 10_000;

    private static readonly TimeSpan Degraded = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan SessionsWhenDegraded = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Heads = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Calm = TimeSpan.FromSeconds(10);

    private const string HeadsSql = "select id as room_id, last_seq from rooms where id = any(@Ids)";

    private const string MembershipsSql = """
        select m.user_id, m.room_id, m.joined_seq, r.last_seq from room_members m join rooms r on r.id = m.room_id where m.user_id = any(@Ids)
        """;

    // By the entry, not by who is in now: who came and went again meanwhile is still owed what lies between.
    private const string JoiningsSql = """
        select e.user_id, e.room_id, e.seq as joined_seq from unnest(@RoomIds, @Seqs) as h (room_id, seq) join entries e on e.room_id = h.room_id and e.seq = h.seq
        where e.kind = @Joined and e.user_id is not null
        """;

    private const string LiveSessionsSql = "select id from sessions where id = any(@Ids) and ended_at is null";

    private readonly ConcurrentDictionary<BusHint, bool> hints = new();
    private readonly SemaphoreSlim wake = new(0, 1);
    private volatile bool changed;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!database.IsPostgres)
            return;
        bus.HealthChanged += () =>
        {
            changed = true;
            Wake();
        };
        bus.Hinted += Note;
        var (headsAt, membershipsAt, sessionsAt) = (time.GetTimestamp(), time.GetTimestamp(), time.GetTimestamp());
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (!bus.IsEnabled && !nodes.HasOthers)
                {
                    await Task.Delay(Heads, stoppingToken);
                    continue;
                }

                var rest = (bus.IsHealthy ? Heads : Degraded) - time.GetElapsedTime(headsAt);
                await wake.WaitAsync(rest > TimeSpan.Zero ? rest : TimeSpan.Zero, stoppingToken);
                // Nodes that have no Redis, or another, are followed as if it were away.
                var healthy = bus.IsHealthy && nodes.AllHeard;
                var all = changed;
                changed = false;
                if (Take(ref headsAt, healthy ? Heads : Degraded, all))
                    await SweepRoomsAsync(tails.Rooms(), stoppingToken);
                if (Take(ref membershipsAt, healthy ? Calm : Degraded, all))
                    await SweepMembershipsAsync(stoppingToken);
                if (Take(ref sessionsAt, healthy ? Calm : SessionsWhenDegraded, all))
                    await SweepSessionsAsync(connections.All().Select(connection => connection.SessionId), SessionEndReason.LoggedOut, stoppingToken);
                // Last: what fails is kept, and the next turn comes when something is due.
                await FollowHintsAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // Its next turn is never far.
                if (lines.Allows(exception.GetType().Name, out var others))
                    Failed(logger, exception.GetType().Name, others);
            }
        }
    }

    /// <summary>Whether something is due; then its time begins anew, also when it fails.</summary>
    private bool Take(ref long at, TimeSpan period, bool now)
    {
        if (!now && time.GetElapsedTime(at) < period)
            return false;
        at = time.GetTimestamp();
        return true;
    }

    /// <summary>Keeps what concerns somebody here.</summary>
    private void Note(BusHint hint)
    {
        var concerned = hint.Kind switch
        {
            BusMessageKind.Joined => !connections.Of(hint.UserId).IsEmpty,
            BusMessageKind.RoomDeleted => tails.Has(hint.Id),
            _ => connections.All().Any(connection => connection.SessionId == hint.Id),
        };
        if (concerned && hints.Count < MaxHints && hints.TryAdd(hint, true))
            Wake();
    }

    private async Task FollowHintsAsync(CancellationToken cancellationToken)
    {
        if (hints.IsEmpty)
            return;
        // Removed before they are looked up: one that comes again meanwhile stays for the next round.
        var taken = hints.Keys.Where(hint => hints.TryRemove(hint, out _)).ToList();
        try
        {
            await FollowAsync(taken.ToLookup(hint => hint.Kind), cancellationToken);
        }
        catch
        {
            // Nothing else tells of somebody who has left again meanwhile.
            taken.ForEach(hint => hints.TryAdd(hint, true));
            throw;
        }
    }

    private async Task FollowAsync(ILookup<BusMessageKind, BusHint> taken, CancellationToken cancellationToken)
    {
        foreach (var ended in taken[BusMessageKind.SessionEnded].GroupBy(hint => hint.Reason, hint => hint.Id))
            await SweepSessionsAsync(ended, ended.Key, cancellationToken);
        await SweepRoomsAsync(taken[BusMessageKind.RoomDeleted].Select(hint => hint.Id), cancellationToken);
        foreach (var joined in taken[BusMessageKind.Joined].Chunk(Chunk))
        {
            var parameters = new { RoomIds = joined.Select(hint => hint.Id).ToArray(), Seqs = joined.Select(hint => hint.Seq).ToArray(), Joined = (int)EntryKind.MemberJoined };
            foreach (var entry in await database.ReadAsync(connection => connection.QueryAsync<JoinedRow>(JoiningsSql, parameters, cancellationToken), cancellationToken))
                tails.Join(entry.RoomId, entry.UserId, entry.JoinedSeq, entry.JoinedSeq);
        }
    }

    private void Wake()
    {
        try
        {
            if (wake.CurrentCount == 0)
                wake.Release();
        }
        catch (SemaphoreFullException)
        {
            // Somebody else has just woken it.
        }
    }

    private async Task SweepRoomsAsync(IEnumerable<Guid> rooms, CancellationToken cancellationToken)
    {
        foreach (var ids in rooms.Chunk(Chunk))
        {
            var heads = await QueryAsync<HeadRow>(HeadsSql, ids, cancellationToken);
            foreach (var head in heads)
                tails.NoteHead(head.RoomId, head.LastSeq);
            foreach (var gone in ids.Except(heads.Select(head => head.RoomId)))
                tails.Delete(gone);
        }
    }

    private async Task SweepMembershipsAsync(CancellationToken cancellationToken)
    {
        foreach (var ids in connections.All().Select(connection => connection.UserId).Distinct().Chunk(Chunk))
        {
            foreach (var membership in await QueryAsync<MembershipRow>(MembershipsSql, ids, cancellationToken))
            {
                if (connections.Of(membership.UserId).Any(connection => connection.Lacks(membership.RoomId)))
                    tails.Join(membership.RoomId, membership.UserId, membership.JoinedSeq, membership.LastSeq);
            }
        }
    }

    private async Task SweepSessionsAsync(IEnumerable<Guid> sessions, SessionEndReason reason, CancellationToken cancellationToken)
    {
        foreach (var ids in sessions.Distinct().Chunk(Chunk))
        {
            foreach (var ended in ids.Except(await QueryAsync<Guid>(LiveSessionsSql, ids, cancellationToken)))
                connections.EndSession(ended, reason);
        }
    }

    private Task<List<T>> QueryAsync<T>(string sql, Guid[] ids, CancellationToken cancellationToken) =>
        database.ReadAsync(connection => connection.QueryAsync<T>(sql, new { Ids = ids }, cancellationToken), cancellationToken);

    public override void Dispose()
    {
        wake.Dispose();
        base.Dispose();
    }

    [LoggerMessage(4300, LogLevel.Warning, "A sweep of the logs' heads failed ({ExceptionType}; {Count} more since the last such line)")]
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
