using System.Buffers;
using System.Collections.Frozen;

namespace SecureMessaging.Server.Notifications;

/// <summary>
/// Finds time zones by any name of the IANA database. Browsers report names that it has replaced (Asia/Calcutta), and many machines keep only the new ones; older
/// machines keep only the old ones. The links between them are in <c>TimeZoneLinks.txt</c>: old name, new name, as in the database's file <c>backward</c>.
/// </summary>
internal static class TimeZones
{
    public const int MaxCharacters = 64;

    // No dots: the name becomes part of a path where the system keeps its time zones.
    private static readonly SearchValues<char> Letters = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/");

    private static readonly FrozenDictionary<string, string> NewNames = Read();

    private static readonly ILookup<string, string> OldNames = NewNames.ToLookup(link => link.Value, link => link.Key, StringComparer.Ordinal);

    public static TimeZoneInfo? Find(string? name) => Find(name, static id => TimeZoneInfo.TryFindSystemTimeZoneById(id, out var zone) ? zone : null);

    /// <param name="name">As a browser reports it.</param>
    /// <param name="onMachine">What the machine knows.</param>
    public static TimeZoneInfo? Find(string? name, Func<string, TimeZoneInfo?> onMachine)
    {
        if (name is not { Length: > 0 and <= MaxCharacters } || name[0] == '/' || name.AsSpan().ContainsAnyExcept(Letters))
            return null;
        if (onMachine(name) is { } zone)
            return zone;
        var current = NewNames.GetValueOrDefault(name, name);
        return OldNames[current].Prepend(current).Select(onMachine).FirstOrDefault(known => known is not null);
    }

    private static FrozenDictionary<string, string> Read()
    {
        using var stream = typeof(TimeZones).Assembly.GetManifestResourceStream("TimeZoneLinks.txt")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')).ToFrozenDictionary(link => link[0], link => link[1], StringComparer.Ordinal);
    }
}
