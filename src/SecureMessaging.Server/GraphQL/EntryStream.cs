using System.Runtime.CompilerServices;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.GraphQL;

/// <summary>One event of a subscription to entries.</summary>
internal sealed record RoomEntries(Guid RoomId, IReadOnlyList<LogEntry> Entries, long HeadSeq, long FirstSeq);

/// <summary>Where a room begins, and how far its log went when that was said.</summary>
internal sealed record RoomStart(Guid RoomId, long AfterSeq, long HeadSeq, long FirstSeq);

/// <summary>
/// Entries of rooms, from a cursor each: first from the log, then as the tails deliver them, each once and in order.
/// </summary>
/// <remarks>
/// 1. The feed gathers before anything is read, so that what is committed in between is in the one or the other. 2. What the log has after a cursor is read in
/// pages. 3. Runs from the feed go on where the cursor is; what lies before it was read already. 4. A run that begins later, a room that the feed has missed
/// and a joining send back to 2, and so does a leaving, which may be of an earlier stay: a read that finds the caller gone ends the room here. Whether
/// the caller may read is checked by each read, and by the tail in the order of the log, whose runs end with the entry that tells of the leaving.
/// </remarks>
internal sealed class EntryStream(Caller caller, LogStore log, TailFeed feed) : IDisposable
{
    private const int PageEntries = 200;

    /// <summary>How far each room has been told of. Outlives a stay: runs of it may still be in the feed when a read finds the caller gone.</summary>
    private readonly Dictionary<Guid, long> cursors = [];

    /// <summary>The rooms that the caller is in, as far as is known, and where the log of each begins.</summary>
    private readonly Dictionary<Guid, long> firstSeqs = [];

    /// <summary>Follows one room. Returns when the caller can read it no more.</summary>
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

    /// <summary>Follows all rooms of the caller, those that it joins on the way from its joining on.</summary>
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
        // Of a room whose head the client has, nothing needs to be read: what comes is in the feed.
        foreach (var start in starts.Where(start => start.AfterSeq < start.HeadSeq))
        {
            await foreach (var entries in CatchUpAsync(start.RoomId, cancellationToken))
                yield return entries;
        }
    }

    private async IAsyncEnumerable<RoomEntries> NextAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var next = await feed.TakeAsync(cancellationToken);
        // In a room that is not known the tail's joining came first, and a read after it found the caller gone again: what stood between is still the caller's.
        var known = firstSeqs.ContainsKey(next.RoomId);
        if (next.Run is null || (known && next.Run.Entries[0].Seq > cursors[next.RoomId] + 1))
        {
            await foreach (var entries in CatchUpAsync(next.RoomId, cancellationToken))
                yield return entries;
        }

        if (next.Run is null || (known && !firstSeqs.ContainsKey(next.RoomId)))
            yield break;
        var cursor = cursors.GetValueOrDefault(next.RoomId);
        if (next.Run.Entries.SkipWhile(entry => entry.Seq <= cursor).ToArray() is { Length: > 0 } run)
        {
            cursors[next.RoomId] = run[^1].Seq;
            firstSeqs.TryAdd(next.RoomId, run[0].Seq);
            yield return new RoomEntries(next.RoomId, run, run[^1].Seq, firstSeqs[next.RoomId]);
        }
    }

    /// <summary>Reads the log after the cursor to its end. A room that cannot be read is not known afterwards.</summary>
    private async IAsyncEnumerable<RoomEntries> CatchUpAsync(Guid roomId, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var more = true; more;)
        {
            var cursor = cursors.GetValueOrDefault(roomId);
            if (await ReadAsync(roomId, cursor, cancellationToken) is not { } page)
            {
                firstSeqs.Remove(roomId);
                yield break;
            }

            firstSeqs[roomId] = page.FirstSeq;
            cursors[roomId] = page.Entries is [.., var last] ? last.Seq : Math.Max(cursor, page.FirstSeq - 1);
            more = page.Entries.Length > 0 && cursors[roomId] < page.HeadSeq;
            if (page.Entries.Length > 0)
                yield return new RoomEntries(roomId, page.Entries, page.HeadSeq, page.FirstSeq);
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
