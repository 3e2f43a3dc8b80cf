using System.Collections.Concurrent;
using System.Threading.Channels;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;

namespace SecureMessaging.Server.Limiting;

/// <summary>
/// The quotas of stored bytes, for every door. An account and a room each have a bucket of one day's bytes, which refills within a day. Buckets are
/// only in memory: a stored count would reveal how much a person writes, which sealed entries do not.
/// </summary>
/// <remarks>
/// 1. The account pays for sends and uploads before they are processed.
/// 2. The room pays for stored envelopes. When its daily or total quota is used up, it rejects further envelopes. Only members learn this. Handshakes
/// are counted and never rejected: a full room must be able to remove a member.
/// 3. The database counts a room's total outside the path of a send: after this node stored a twentieth of the quota since the last count, and once a
/// minute while the room is full, because redacted and expired entries free space.
/// </remarks>
internal sealed partial class ByteQuotas : BackgroundService
{
    private const int MaxRooms = 100_000;
    private const int StepsOfRoom = 20;
    private const double MinutesOfDay = 24 * 60;

    // Reads no content: both engines store its length beside it.
    private const string CountSql = "select coalesce(sum(length(ciphertext)), 0) from entries where room_id = @RoomId";

    private static readonly TimeSpan CountAgainAfter = TimeSpan.FromMinutes(1);

    private readonly RateLimiter<Guid> accounts;
    private readonly RateLimiter<Guid> rooms;
    private readonly ConcurrentDictionary<Guid, RoomTotal> totals = new();
    private readonly Channel<Guid> toCount = Channel.CreateUnbounded<Guid>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Database database;
    private readonly SecurityEvents events;
    private readonly TimeProvider time;
    private readonly Limits limits;
    private readonly ILogger logger;
    private readonly ITimer sweep;

    public ByteQuotas(Database database, SecurityEvents events, TimeProvider time, Limits limits, ILogger<ByteQuotas> logger)
    {
        (this.database, this.events, this.time, this.limits, this.logger) = (database, events, time, limits, logger);
        accounts = Bucket("account-bytes", limits.AccountBytesPerDay, time);
        rooms = Bucket("room-bytes", limits.RoomBytesPerDay, time);
        sweep = time.CreateTimer(_ => Sweep(), null, TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1));
    }

    public static Limits Report(Limits limits, QuotaOptions quotas, bool rates) => limits with
    {
        AccountBytesPerDay = rates ? quotas.AccountBytesPerDay : null,
        RoomBytesPerDay = rates ? quotas.RoomBytesPerDay : null,
        RoomBytes = quotas.RoomBytes,
    };

    /// <summary>Takes from the account's daily bytes, or throws and takes nothing.</summary>
    public void Spend(Guid userId, long bytes)
    {
        if (!accounts.TrySpend(userId, (int)bytes, out var wait))
            throw Refuse("accountBytesPerDay", limits.AccountBytesPerDay, wait);
    }

    /// <summary>Null: the room accepts this many bytes. Otherwise the error for members.</summary>
    public ApiException? Check(Guid roomId, long bytes)
    {
        if (!rooms.Allows(roomId, (int)bytes, out var wait))
            return Refuse("roomBytesPerDay", limits.RoomBytesPerDay, wait);
        if (limits.RoomBytes is null || !totals.TryGetValue(roomId, out var total) || !total.IsFull)
            return null;
        if (time.Now() >= total.CountAgainAt)
            Count(roomId, total);
        return Refuse("roomBytes", limits.RoomBytes, TimeSpan.Zero);
    }

    public void Stored(Guid roomId, long bytes)
    {
        rooms.Drain(roomId, (int)bytes);
        if (limits.RoomBytes is not { } quota)
            return;
        var total = totals.GetOrAdd(roomId, static _ => new RoomTotal());
        if (Interlocked.Add(ref total.Since, bytes) >= Math.Max(1, quota / StepsOfRoom))
            Count(roomId, total);
    }

    public override void Dispose()
    {
        sweep.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await foreach (var roomId in toCount.Reader.ReadAllAsync(stoppingToken))
            await CountAsync(roomId, stoppingToken);
    }

    private async Task CountAsync(Guid roomId, CancellationToken cancellationToken)
    {
        if (!totals.TryGetValue(roomId, out var total))
            return;
        try
        {
            total.IsFull = await database.ReadAsync(
                connection => connection.QuerySingleAsync<long>(CountSql, new { RoomId = roomId }, cancellationToken), cancellationToken) >= limits.RoomBytes;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            // The old value stays. The next step or minute counts again.
            NotCounted(logger, exception.GetType().Name);
        }
        finally
        {
            total.CountAgainAt = time.Now() + CountAgainAfter;
            Volatile.Write(ref total.Counting, 0);
        }
    }

    private void Count(Guid roomId, RoomTotal total)
    {
        if (Interlocked.Exchange(ref total.Counting, 1) != 0)
            return;
        Interlocked.Exchange(ref total.Since, 0);
        toCount.Writer.TryWrite(roomId);
    }

    private ApiException Refuse(string quota, long? bytes, TimeSpan wait)
    {
        events.Count(SecurityCause.QuotaExceeded);
        return new ApiException(ErrorCode.QuotaExceeded, $"The quota {quota} of {bytes} bytes is used up; nothing was stored.")
        {
            RetryAfterMs = wait > TimeSpan.Zero ? (int)Math.Min(int.MaxValue, Math.Ceiling(wait.TotalMilliseconds)) : null,
        };
    }

    private void Sweep()
    {
        accounts.Sweep();
        rooms.Sweep();
        // Rooms with few bytes since the last count are far from the next one.
        if (totals.Count <= MaxRooms)
            return;
        var surplus = totals.Count - (MaxRooms * 9 / 10);
        var least = totals.Where(pair => !pair.Value.IsFull).OrderBy(pair => Volatile.Read(ref pair.Value.Since)).Take(surplus).ToList();
        foreach (var (roomId, _) in least)
            totals.TryRemove(roomId, out _);
    }

    private static RateLimiter<Guid> Bucket(string name, long? bytes, TimeProvider time) =>
        new(name, bytes is { } day ? new RateRule { Burst = (int)day, PerMinute = day / MinutesOfDay } : null, time, "");

    [LoggerMessage(2200, LogLevel.Warning, "The bytes of a room could not be counted ({ExceptionType})")]
    private static partial void NotCounted(ILogger logger, string exceptionType);

    private sealed class RoomTotal
    {
        public long Since;
        public int Counting;
        private volatile bool isFull;

        public bool IsFull
        {
            get => isFull;
            set => isFull = value;
        }

        public DateTime CountAgainAt { get; set; }
    }
}
