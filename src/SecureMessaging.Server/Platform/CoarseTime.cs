namespace SecureMessaging.Server.Platform;

/// <summary>UTC times, only as precise as their purpose needs.</summary>
internal static class CoarseTime
{
    public static DateTime Now(this TimeProvider time) => time.GetUtcNow().UtcDateTime;

    public static DateTime ToSecond(this DateTime time) => Truncate(time, TimeSpan.TicksPerSecond);

    public static DateTime ToMinute(this DateTime time) => Truncate(time, TimeSpan.TicksPerMinute);

    public static DateTime ToHour(this DateTime time) => Truncate(time, TimeSpan.TicksPerHour);

    public static DateTime ToDay(this DateTime time) => Truncate(time, TimeSpan.TicksPerDay);

    private static DateTime Truncate(DateTime time, long unit) => new(time.Ticks - (time.Ticks % unit), DateTimeKind.Utc);
}
