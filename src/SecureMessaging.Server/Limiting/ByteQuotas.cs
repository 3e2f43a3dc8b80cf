using System.Collections.Concurrent;
using System.Threading.Channels;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Limiting;

/// <summary>
/// The one service for quotas of stored bytes, for every door. An account and a room have a bucket of a day's bytes each, which fills up again within a day. It is in
/// memory alone: a stored count would tell how much a person writes, which sealed entries do not tell.
/// </summary>
/// <remarks>
/// 1. The account pays before anything is done, for what it sends and uploads.
/// 2. The room pays for what has been stored, and refuses further envelopes to its members once its day or its whole is used up. A stranger to the room learns nothing.
///    Handshakes are counted for the room and never refused by it: a full room must be able to remove a member.
/// 3. What a room holds in all is counted in the database, off the path of the sends, whenever a twentieth of the quota was stored by this node since the last count,
///    and once a minute while the room is full, because retracted and expired entries make room.
/// </remarks>
internal sealed partial class ByteQuotas : BackgroundService
{
    private const int MaxRooms = 100_000;
    private const int StepsOfRoom = 20;
    private const double MinutesOfDay = 24 * 60;

    // Reads no content: both engines keep the length beside it.
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

    /// <summary>The limits as the operator has set them, with the quotas that are in force.</summary>
    public static Limits Report(Limits limits, QuotaOptions quotas, bool rates) => limits with
    {
        AccountBytesPerDay = rates ? quotas.AccountBytesPerDay : null,
        RoomBytesPerDay = rates ? quotas.RoomBytesPerDay : null,
        RoomBytes = quotas.RoomBytes,
    };

    /// <summary>Takes from the account's day, or refuses and takes nothing.</summary>
    public void Spend(Guid userId, long bytes)
    {
        if (!accounts.TrySpend(userId, (int)bytes, out var wait))
            throw Refuse("accountBytesPerDay", limits.AccountBytesPerDay, wait);
    }

    /// <summary>Null: the room takes this much. Else the refusal, for members.</summary>
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

    /// <summary>Notes what the room's log has gained.</summary>
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
        try
        {
            await foreach (var roomId in toCount.Reader.ReadAllAsync(stoppingToken))
                await CountAsync(roomId, stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The node stops.
        }
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
            // As it was; the next step or minute asks again.
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
        // Rooms to which little was sent are far from another count.
        if (totals.Count <= MaxRooms)
            return;
        foreach (var (roomId, _) in totals.Where(pair => !pair.Value.IsFull).OrderBy(pair => Volatile.Read(ref pair.Value.Since)).Take(totals.Count - (MaxRooms * 9 / 10)).ToList())
            totals.TryRemove(roomId, out _);
    }

    private static RateLimiter<Guid> Bucket(string name, long? bytes, TimeProvider time) =>
        new(name, bytes is { } day ? new RateRule { Burst = (int)day, PerMinute = day / MinutesOfDay } : null, time, "");

    [LoggerMessage(2200, LogLevel.Warning, "What a room holds could not be counted ({ExceptionType})")]
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
