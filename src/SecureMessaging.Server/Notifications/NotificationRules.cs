using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Notifications;

/// <summary>Checks notification settings, and applies them to a point in time.</summary>
internal static class NotificationRules
{
    public const int MinutesOfDay = 24 * 60;

    public static void Require(NotificationSettings settings)
    {
        if (!settings.Priority.IsKnown())
            throw ApiException.Invalid("priority must be low, normal or high.", "priority");
        switch (settings)
        {
            case { QuietFrom: null, QuietUntil: null, TimeZone: null }:
                return;
            case not { QuietFrom: not null, QuietUntil: not null, TimeZone: not null }:
                throw ApiException.Invalid("quietFrom, quietUntil and timeZone must be given together or not at all.", [.. Lacking(settings)]);
            case not { QuietFrom: >= 0 and < MinutesOfDay, QuietUntil: >= 0 and < MinutesOfDay }:
                throw ApiException.Invalid($"quietFrom and quietUntil must be 0 to {MinutesOfDay - 1}.", [.. OutOfDay(settings)]);
        }

        if (settings.QuietFrom == settings.QuietUntil)
            throw ApiException.Invalid("quietUntil must differ from quietFrom. To silence the whole day, set muted.", "quietUntil");
        if (TimeZones.Find(settings.TimeZone) is null)
            throw ApiException.Invalid("timeZone must be a name of the IANA time zone database, such as Europe/Vienna.", "timeZone");
    }

    public static bool MayWake(NotificationSettings settings, DateTime now) =>
        !settings.Muted && (settings.Priority == NotificationPriority.High || !IsQuiet(settings, now));

    private static IEnumerable<string> Lacking(NotificationSettings settings)
    {
        if (settings.QuietFrom is null)
            yield return "quietFrom";
        if (settings.QuietUntil is null)
            yield return "quietUntil";
        if (settings.TimeZone is null)
            yield return "timeZone";
    }

    private static IEnumerable<string> OutOfDay(NotificationSettings settings)
    {
        if (settings.QuietFrom is not (>= 0 and < MinutesOfDay))
            yield return "quietFrom";
        if (settings.QuietUntil is not (>= 0 and < MinutesOfDay))
            yield return "quietUntil";
    }

    private static bool IsQuiet(NotificationSettings settings, DateTime now)
    {
        // A time zone that this machine no longer knows means no quiet hours: an extra push is better than a missing one.
        if (settings is not { QuietFrom: { } from, QuietUntil: { } until } || TimeZones.Find(settings.TimeZone) is not { } zone)
            return false;
        var minute = (int)TimeZoneInfo.ConvertTimeFromUtc(now, zone).TimeOfDay.TotalMinutes;
        return from < until ? minute >= from && minute < until : minute >= from || minute < until;
    }
}
