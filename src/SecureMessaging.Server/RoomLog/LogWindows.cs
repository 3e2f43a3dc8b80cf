using System.Data;
using Dapper;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.RoomLog;

/// <summary>A range of a log: entries between the two seqs (exclusive), up to a count from its beginning or, backwards, from its end.</summary>
internal readonly record struct LogRange(long AfterSeq, long BeforeSeq, int Count, bool Backwards);

/// <summary>Entries of a room's log, oldest first, and the first and last seq that the caller can read.</summary>
internal sealed record LogWindow(Guid RoomId, IReadOnlyList<LogEntry> Entries, long HeadSeq, long FirstSeq);

/// <summary>Reads a range of several rooms' logs in one statement, in either direction. Seq has no gaps, so ranges are arithmetic.</summary>
internal sealed class LogWindows(Database database, TimeProvider time, Limits limits)
{
    // One statement: the entries and the permission to read them come from one snapshot. SQLite gets the list of ids as JSON.
    private const string Sql = $"""
        with me as (
            select r.id as in_room, r.last_seq, case when r.first_seq > m.joined_seq then r.first_seq else m.joined_seq end as first_seq
            from room_members m join rooms r on r.id = m.room_id
            where m.user_id = @UserId and m.room_id {RoomsPlaceholder}),
        w as (
            select in_room, last_seq, first_seq,
                case when first_seq > @AfterSeq then first_seq else @AfterSeq + 1 end as low,
                case when last_seq < @BeforeSeq then last_seq else @BeforeSeq - 1 end as high
            from me)
        select w.in_room, w.last_seq as head_seq, w.first_seq as floor_seq, {ColumnsPlaceholder}
        from w left join entries e on e.room_id = w.in_room and e.seq >= w.low and e.seq <= w.high and {WindowPlaceholder}
        order by w.in_room, e.seq
        """;

    private const string RoomsPlaceholder = "/*rooms*/";
    private const string WindowPlaceholder = "/*window*/";
    private const string ColumnsPlaceholder = "/*columns*/";

    private readonly string forwards = Build(database, "e.seq < w.low + @Count", "");
    private readonly string backwards = Build(database, "e.seq > w.high - @Count", " desc");

    /// <summary>
    /// Returns a window for each room that the caller is in. Together they have up to <see cref="Limits.PageBytes"/>, but each has at least one
    /// entry.
    /// </summary>
    public Task<Dictionary<Guid, LogWindow>> ReadAsync(
        Caller caller, IReadOnlyCollection<Guid> roomIds, LogRange range, CancellationToken cancellationToken) => database.ReadAsync(
        async connection =>
        {
            var parameters = new
            {
                caller.UserId,
                range.AfterSeq,
                range.BeforeSeq,
                Count = Math.Min(range.Count, limits.PageEntries),
                Ids = database.ListOf(roomIds),
            };
            var windows = new Dictionary<Guid, Gathering>();
            await using var reader = await connection.ExecuteReaderAsync(range.Backwards ? backwards : forwards, parameters, cancellationToken);
            var parseWindow = reader.GetRowParser<WindowRow>(length: 3);
            var parseEntry = reader.GetRowParser<EntryRow>(startIndex: 3);
            var now = time.Now();
            while (await reader.ReadAsync(cancellationToken))
            {
                var row = parseWindow(reader);
                if (!windows.TryGetValue(row.InRoom, out var window))
                    windows.Add(row.InRoom, window = new Gathering(row, limits.PageBytes / Math.Max(1, roomIds.Count)));
                if (parseEntry(reader) is { Seq: not null } entry)
                    window.Add(entry, now);
            }

            return windows.ToDictionary(pair => pair.Key, pair => pair.Value.ToWindow(range.Backwards));
        },
        cancellationToken);

    private static string Build(Database database, string window, string order) => Sql
        .Replace(RoomsPlaceholder, database.AnyOf("Ids"), StringComparison.Ordinal)
        .Replace(WindowPlaceholder, window, StringComparison.Ordinal)
        .Replace(ColumnsPlaceholder, string.Join(", ", EntryRow.Columns.Split(", ").Select(column => $"e.{column}")), StringComparison.Ordinal)
        + order;

    private sealed class Gathering(WindowRow row, int bytes)
    {
        private readonly List<LogEntry> entries = [];
        private int left = bytes;
        private bool full;

        public void Add(EntryRow entry, DateTime now)
        {
            left -= entry.Ciphertext?.Length ?? 0;
            // The first entry always fits. After one that did not fit nothing is added, so a window has no hole.
            full |= left < 0 && entries.Count > 0;
            if (!full)
                entries.Add(entry.ToEntry(now));
        }

        public LogWindow ToWindow(bool reversed)
        {
            if (reversed)
                entries.Reverse();
            return new LogWindow(row.InRoom, entries, row.HeadSeq, row.FloorSeq);
        }
    }

    private sealed record WindowRow
    {
        public Guid InRoom { get; init; }
        public long HeadSeq { get; init; }
        public long FloorSeq { get; init; }
    }
}
