using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Notifications;

/// <summary>What notification settings may look like, and what they mean at a moment.</summary>
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
                throw ApiException.Invalid("quietFrom, quietUntil and timeZone are given together or not at all.", [.. Lacking(settings)]);
            case not { QuietFrom: >= 0 and < MinutesOfDay, QuietUntil: >= 0 and < MinutesOfDay }:
                throw ApiException.Invalid($"quietFrom and quietUntil must be 0 to {MinutesOfDay - 1}.", [.. OutOfDay(settings)]);
        }

        if (settings.QuietFrom == settings.QuietUntil)
            throw ApiException.Invalid("Quiet hours must not end when they begin. Mute instead.", "quietUntil");
        if (TimeZones.Find(settings.TimeZone) is null)
            throw ApiException.Invalid("timeZone must be a name of the IANA time zone database, such as Europe/Vienna.", "timeZone");
    }

    /// <summary>Whether a message may wake a device at this moment (UTC).</summary>
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
        // A zone that this machine does not know any more has no quiet hours: better disturbed once than never told.
        if (settings is not { QuietFrom: { } from, QuietUntil: { } until } || TimeZones.Find(settings.TimeZone) is not { } zone)
            return false;
        var minute = (int)TimeZoneInfo.ConvertTimeFromUtc(now, zone).TimeOfDay.TotalMinutes;
        return from < until ? minute >= from && minute < until : minute >= from || minute < until;
    }
}
