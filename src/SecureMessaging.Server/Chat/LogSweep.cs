using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// Looks up in the database what the bus may have lost: how far logs go, who joined, which sessions are over. Often while the bus is down, now and then while
/// it works, at once when it is back.
/// </summary>
internal sealed partial class LogSweep(Database database, NodeBus bus, RoomTails tails, ChatConnections connections, TimeProvider time, ILogger<LogSweep> logger)
    : BackgroundService
{
    private const int Chunk = 2000;
    private static readonly TimeSpan Degraded = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Calm = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan SessionsWhenDegraded = TimeSpan.FromSeconds(5);

    private const string HeadsSql = "select id as room_id, last_seq from rooms where id = any(@Ids)";

    private const string MembershipsSql = """
        select m.user_id, m.room_id, m.joined_seq, r.last_seq from room_members m join rooms r on r.id = m.room_id where m.user_id = any(@Ids)
        """;

    private const string LiveSessionsSql = "select id from sessions where id = any(@Ids) and ended_at is null";

    private readonly SemaphoreSlim wake = new(0, 1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!bus.IsEnabled)
            return;
        bus.HealthChanged += () =>
        {
            if (wake.CurrentCount == 0)
                wake.Release();
        };
        var sessionsAt = time.GetTimestamp();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await wake.WaitAsync(bus.IsHealthy ? Calm : Degraded, stoppingToken);
                await SweepRoomsAsync(stoppingToken);
                await SweepMembershipsAsync(stoppingToken);
                if (bus.IsHealthy || time.GetElapsedTime(sessionsAt) >= SessionsWhenDegraded)
                {
                    await SweepSessionsAsync(stoppingToken);
                    sessionsAt = time.GetTimestamp();
                }
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // Its next turn is never far.
                Failed(logger, exception.GetType().Name);
            }
        }
    }

    private async Task SweepRoomsAsync(CancellationToken cancellationToken)
    {
        foreach (var ids in tails.Rooms().Chunk(Chunk))
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
                if (connections.Of(membership.UserId).Any(connection => !connection.IsIn(membership.RoomId)))
                    tails.Join(membership.RoomId, membership.UserId, membership.JoinedSeq, membership.LastSeq);
            }
        }
    }

    private async Task SweepSessionsAsync(CancellationToken cancellationToken)
    {
        foreach (var ids in connections.All().Select(connection => connection.SessionId).Distinct().Chunk(Chunk))
        {
            foreach (var ended in ids.Except(await QueryAsync<Guid>(LiveSessionsSql, ids, cancellationToken)))
                connections.EndSession(ended, SessionEndReason.LoggedOut);
        }
    }

    private Task<List<T>> QueryAsync<T>(string sql, Guid[] ids, CancellationToken cancellationToken) =>
        database.ReadAsync(connection => connection.QueryAsync<T>(sql, new { Ids = ids }, cancellationToken), cancellationToken);

    public override void Dispose()
    {
        wake.Dispose();
        base.Dispose();
    }

    [LoggerMessage(4300, LogLevel.Warning, "A sweep of the logs' heads failed ({ExceptionType})")]
    private static partial void Failed(ILogger logger, string exceptionType);

    private sealed record HeadRow
    {
        public Guid RoomId { get; init; }
        public long LastSeq { get; init; }
    }

    private sealed record MembershipRow
    {
        public Guid UserId { get; init; }
        public Guid RoomId { get; init; }
        public long JoinedSeq { get; init; }
        public long LastSeq { get; init; }
    }
}
