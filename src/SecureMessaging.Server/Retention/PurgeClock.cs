using System.Globalization;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;

namespace SecureMessaging.Server.Retention;

/// <summary>Decides up to which time the retention job may purge. Purging cannot be undone, so no single clock decides.</summary>
/// <remarks>
/// 1. The wall clock must advance as the monotonic clock does. After a jump it must be steady for an hour.
/// 2. On Postgres it must agree with the database's clock.
/// 3. The last purge time is stored. A start more than a day later counts as a jump, and one run advances by at most a day.
/// </remarks>
internal sealed class PurgeClock(Database database, TimeProvider time)
{
    private const string DatabaseTimeSql = "select clock_timestamp()";
    private const string ReadSql = "select purged_until from installation where id = 1";

    /// <summary>Storing it once an hour is precise enough to detect a day.</summary>
    private const string StoreSql = "update installation set purged_until = @Until where id = 1 and (purged_until is null or purged_until < @Before)";

    private static readonly TimeSpan Tolerance = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Settling = TimeSpan.FromHours(1);
    private static readonly TimeSpan Step = TimeSpan.FromDays(1);
    private static readonly TimeSpan StorePeriod = TimeSpan.FromHours(1);

    private (DateTime Wall, long Monotonic)? last;
    private long? jumpedAt;
    private DateTime? until;

    /// <summary>The time up to which the job may purge now, or the reason why it may not.</summary>
    public async Task<(DateTime? Until, string? Refusal)> LookAsync(CancellationToken cancellationToken)
    {
        var (now, monotonic) = (time.Now(), time.GetTimestamp());
        until ??= (await QueryAsync<Row>(ReadSql))?.PurgedUntil ?? now;
        // At the first look, the stored time replaces the previous look.
        var jump = last is { } before ? now - before.Wall - time.GetElapsedTime(before.Monotonic, monotonic)
            : now - until.Value > Step ? now - until.Value
            : TimeSpan.Zero;
        last = (now, monotonic);
        if (jump.Duration() > Tolerance)
            jumpedAt = monotonic;
        if (jumpedAt is { } at && time.GetElapsedTime(at, monotonic) < Settling)
            return (null, "The clock has jumped, or the server was off for more than a day: nothing is purged until the clock has been steady for an hour");
        jumpedAt = null;
        if (database.IsPostgres)
        {
            var theirs = await QueryAsync<DateTime>(DatabaseTimeSql);
            if ((now - theirs).Duration() > Tolerance)
            {
                var (minutes, side) = ((now - theirs).Duration().TotalMinutes, now > theirs ? "ahead of" : "behind");
                return (null, string.Create(
                    CultureInfo.InvariantCulture, $"The clock is {minutes:F0} minutes {side} the database's: nothing is purged until both agree"));
            }
        }

        return (until.Value + Step < now ? until.Value + Step : now, null);

        Task<T?> QueryAsync<T>(string sql) =>
            database.ReadAsync(connection => connection.QuerySingleAsync<T>(sql, null, cancellationToken), cancellationToken);
    }

    public async Task NoteAsync(DateTime purgedUntil, CancellationToken cancellationToken)
    {
        until = purgedUntil;
        await database.ExecuteAsync(StoreSql, new { Until = purgedUntil.ToSecond(), Before = purgedUntil - StorePeriod }, cancellationToken);
    }

    private sealed record Row
    {
        public DateTime? PurgedUntil { get; init; }
    }
}
