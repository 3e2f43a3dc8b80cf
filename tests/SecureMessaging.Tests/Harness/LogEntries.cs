using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Harness;

/// <summary>Reads whole logs.</summary>
public static class LogEntries
{
    /// <summary>All entries of a room, read page by page.</summary>
    public static async Task<List<LogEntry>> ReadLogAsync(this TestConnection connection, Guid roomId)
    {
        var log = new List<LogEntry>();
        for (LogPage page; (page = await connection.SyncAsync(roomId, log.Count == 0 ? 0 : log[^1].Seq)).Entries.Length > 0;)
            log.AddRange(page.Entries);
        return log;
    }

    /// <summary>The seqs that a user may receive: from each of its joins to the following leave, inclusive.</summary>
    public static List<long> SeqsWithin(this IEnumerable<LogEntry> log, TestUser user)
    {
        var (seqs, inside) = (new List<long>(), false);
        foreach (var entry in log)
        {
            inside |= entry.UserId == user.Id && entry.Kind == EntryKind.MemberJoined;
            if (inside)
                seqs.Add(entry.Seq);
            inside &= !(entry.UserId == user.Id && entry.Kind == EntryKind.MemberLeft);
        }

        return seqs;
    }
}
