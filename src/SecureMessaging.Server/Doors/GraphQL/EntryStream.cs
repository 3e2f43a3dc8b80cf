using System.Runtime.CompilerServices;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed record RoomEntries(Guid RoomId, IReadOnlyList<LogEntry> Entries, long HeadSeq, long FirstSeq);

/// <summary>The start of a room's stream, and the room's head at that time.</summary>
internal sealed record RoomStart(Guid RoomId, long AfterSeq, long HeadSeq, long FirstSeq);

/// <summary>
/// Entries of rooms, each from a cursor: first from the log, then from room delivery, each entry once and in order.
/// </summary>
/// <remarks>
/// 1. The feed starts to buffer before the first read, so an entry committed meanwhile is in the feed or in the log.
/// 2. The log after a cursor is read in pages.
/// 3. Runs from the feed continue at the cursor. Entries before it were read already and are skipped.
/// 4. A run after a gap, a missed room and a joining go back to step 2, but the read ends where the feed continues. The feed may be behind the log: what it
///    still has of an earlier membership comes first and cannot be read any more.
/// Each read checks the membership. Room delivery checks it in the order of the log: its runs end with the entry that removes the caller.
/// </remarks>
internal sealed class EntryStream(Caller caller, LogStore log, DeliveryFeed feed) : IDisposable
{
    private const int PageEntries = 200;

    /// <summary>The last seq sent of each room. Kept after a leaving, because runs of that stay may still be in the feed.</summary>
    private readonly Dictionary<Guid, long> cursors = [];

    /// <summary>The known rooms of the caller with their first readable seq.</summary>
    private readonly Dictionary<Guid, long> firstSeqs = [];

    /// <summary>Follows one room. Returns when the caller can no longer read it.</summary>
    public async IAsyncEnumerable<RoomEntries> RoomAsync(RoomStart start, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var entries in BeginAsync([start], cancellationToken))
            yield return entries;
        while (firstSeqs.ContainsKey(start.RoomId))
        {
            await foreach (var entries in NextAsync(cancellationToken))
                yield return entries;
        }
    }

    public async IAsyncEnumerable<RoomEntries> RoomsAsync(
        IReadOnlyCollection<RoomStart> starts, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var entries in BeginAsync(starts, cancellationToken))
            yield return entries;
        while (true)
        {
            await foreach (var entries in NextAsync(cancellationToken))
                yield return entries;
        }
    }

    public void Dispose() => feed.Dispose();

    private async IAsyncEnumerable<RoomEntries> BeginAsync(IReadOnlyCollection<RoomStart> starts, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var start in starts)
            (cursors[start.RoomId], firstSeqs[start.RoomId]) = (start.AfterSeq, start.FirstSeq);
        // A client with the head of a room needs no read: new entries come from the feed.
        foreach (var start in starts.Where(start => start.AfterSeq < start.HeadSeq))
        {
            await foreach (var entries in CatchUpAsync(start.RoomId, long.MaxValue, cancellationToken))
                yield return entries;
        }
    }

    private async IAsyncEnumerable<RoomEntries> NextAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var next = await feed.TakeAsync(cancellationToken);
        var (roomId, cursor) = (next.RoomId, cursors.GetValueOrDefault(next.RoomId));
        if (next.Change is RoomChange.Left or RoomChange.Deleted)
        {
            // The log may have been read in a later membership than the one that ends here.
            if (next.Change == RoomChange.Deleted || firstSeqs.GetValueOrDefault(roomId) <= next.Seq)
                firstSeqs.Remove(roomId);
            yield break;
        }

        var continues = next.Run?.Entries[0].Seq ?? (next.Change is null ? long.MaxValue : next.Seq);
        if (next.Change == RoomChange.Joined)
        {
            // The log was read from there already.
            if (continues <= cursor)
                yield break;
            firstSeqs.Remove(roomId);
        }

        if (next.Run is null || (firstSeqs.ContainsKey(roomId) && continues > cursor + 1))
        {
            await foreach (var entries in CatchUpAsync(roomId, continues, cancellationToken))
                yield return entries;
        }

        if (next.Change == RoomChange.Joined)
            Continue(roomId, continues, continues - 1);
        else if (next.Run?.Entries.SkipWhile(entry => entry.Seq <= cursors.GetValueOrDefault(roomId)).ToArray() is [var first, ..] run)
            yield return new RoomEntries(roomId, run, run[^1].Seq, Continue(roomId, first.Seq, run[^1].Seq));
    }

    /// <summary>Moves the cursor. Returns the first readable seq: <paramref name="from"/> in a room that was unknown.</summary>
    private long Continue(Guid roomId, long from, long cursor)
    {
        cursors[roomId] = cursor;
        firstSeqs.TryAdd(roomId, from);
        return firstSeqs[roomId];
    }

    /// <summary>
    /// Reads the log after the cursor up to <paramref name="before"/>, without it. From there the feed continues, also when it is so far behind the log that
    /// the caller has left and joined again meanwhile: then the log cannot be read here, and the feed still has the entries.
    /// </summary>
    private async IAsyncEnumerable<RoomEntries> CatchUpAsync(Guid roomId, long before, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var more = true; more;)
        {
            var cursor = cursors.GetValueOrDefault(roomId);
            var page = await ReadAsync(roomId, cursor, cancellationToken);
            if (page is null && before == long.MaxValue)
                firstSeqs.Remove(roomId);
            if (page is null || page.FirstSeq >= before)
                yield break;
            firstSeqs[roomId] = page.FirstSeq;
            var entries = page.Entries.TakeWhile(entry => entry.Seq < before).ToArray();
            cursors[roomId] = entries is [.., var last] ? last.Seq : Math.Max(cursor, page.FirstSeq - 1);
            more = entries.Length > 0 && cursors[roomId] < Math.Min(page.HeadSeq, before - 1);
            if (entries.Length > 0)
                yield return new RoomEntries(roomId, entries, page.HeadSeq, page.FirstSeq);
        }
    }

    private async Task<LogPage?> ReadAsync(Guid roomId, long afterSeq, CancellationToken cancellationToken)
    {
        try
        {
            return await log.SyncAsync(caller, roomId, afterSeq, PageEntries, cancellationToken);
        }
        catch (ApiException exception) when (exception.Code == ErrorCode.NotFound)
        {
            return null;
        }
    }
}
