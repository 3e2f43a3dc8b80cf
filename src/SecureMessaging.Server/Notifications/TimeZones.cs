using System.Buffers;
using System.Collections.Frozen;
using System.Text;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Notifications;

/// <summary>
/// Finds time zones by any name of the IANA database. Browsers also report replaced names (Asia/Calcutta). Many machines know only the new names, older ones
/// only the old names. <c>TimeZoneLinks.txt</c> links them: old name, new name, as in the database's file <c>backward</c>.
/// </summary>
internal static class TimeZones
{
    public const int MaxCharacters = 64;

    // No dots: the name becomes part of a file path.
    private static readonly SearchValues<char> Letters = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/");

    private static readonly FrozenDictionary<string, string> NewNames = Read();

    private static readonly ILookup<string, string> OldNames = NewNames.ToLookup(link => link.Value, link => link.Key, StringComparer.Ordinal);

    public static TimeZoneInfo? Find(string? name) => Find(name, static id => TimeZoneInfo.TryFindSystemTimeZoneById(id, out var zone) ? zone : null);

    /// <param name="name">The name from the browser.</param>
    /// <param name="onMachine">The machine's time zones.</param>
    public static TimeZoneInfo? Find(string? name, Func<string, TimeZoneInfo?> onMachine)
    {
        if (name is not { Length: > 0 and <= MaxCharacters } || name[0] == '/' || name.AsSpan().ContainsAnyExcept(Letters))
            return null;
        if (onMachine(name) is { } zone)
            return zone;
        var current = NewNames.GetValueOrDefault(name, name);
        return OldNames[current].Prepend(current).Select(onMachine).FirstOrDefault(known => known is not null);
    }

    private static FrozenDictionary<string, string> Read() =>
        Encoding.ASCII.GetString(EmbeddedFile.Read("TimeZoneLinks.txt")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' '))
            .ToFrozenDictionary(link => link[0], link => link[1], StringComparer.Ordinal);
}
