using System.Globalization;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Retention;

/// <summary>
/// Decides until when the job may purge. What is purged is gone for good, so a wrong clock must not decide alone:
/// </summary>
/// <remarks>
/// 1. The wall clock must run as the monotonic one does. After a jump it must have been steady for an hour.
/// 2. On Postgres it must agree with the database's.
/// 3. How far the job has come is stored. A start far beyond that is taken for a jump, and one run goes on by a day at most.
/// </remarks>
internal sealed class PurgeClock(Database database, TimeProvider time)
{
    private const string DatabaseTimeSql = "select clock_timestamp()";
    private const string ReadSql = "select purged_until from installation where id = 1";

    /// <summary>Once an hour is exact enough to notice a day.</summary>
    private const string StoreSql = "update installation set purged_until = @Until where id = 1 and (purged_until is null or purged_until < @Before)";

    private static readonly TimeSpan Tolerance = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Settling = TimeSpan.FromHours(1);
    private static readonly TimeSpan Step = TimeSpan.FromDays(1);
    private static readonly TimeSpan StorePeriod = TimeSpan.FromHours(1);

    private (DateTime Wall, long Monotonic)? last;
    private long? jumpedAt;
    private DateTime? until;

    /// <summary>Until when may be purged now, or why nothing may be.</summary>
    public async Task<(DateTime? Until, string? Refusal)> LookAsync(CancellationToken cancellationToken)
    {
        var (now, monotonic) = (time.Now(), time.GetTimestamp());
        until ??= (await QueryAsync<Row>(ReadSql))?.PurgedUntil ?? now;
        // At the first look the stored time stands in for the last one.
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
                return (null, string.Create(
                    CultureInfo.InvariantCulture,
                    $"The clock is {(now - theirs).Duration().TotalMinutes:F0} minutes {(now > theirs ? "ahead of" : "behind")} the database's: nothing is purged until both agree"));
            }
        }

        return (until.Value + Step < now ? until.Value + Step : now, null);

        Task<T?> QueryAsync<T>(string sql) =>
            database.ReadAsync(connection => connection.QuerySingleAsync<T>(sql, null, cancellationToken), cancellationToken);
    }

    /// <summary>Everything that had expired by then is gone.</summary>
    public async Task NoteAsync(DateTime purgedUntil, CancellationToken cancellationToken)
    {
        until = purgedUntil;
        await database.ExecuteAsync(StoreSql, new { Until = purgedUntil, Before = purgedUntil - StorePeriod }, cancellationToken);
    }

    private sealed record Row
    {
        public DateTime? PurgedUntil { get; init; }
    }
}
