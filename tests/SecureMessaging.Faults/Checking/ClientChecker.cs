using SecureMessaging.Faults.History;
using SecureMessaging.Protocol;

namespace SecureMessaging.Faults.Checking;

/// <summary>Compares what one client saw with the logs as they were read in the end.</summary>
internal sealed class ClientChecker
{
    private readonly Verdict verdict;
    private readonly int client;
    private readonly LogRow[][] logs;
    private readonly Dictionary<Guid, (int Client, Send Send)> sends;
    private readonly List<(long From, long To)>[] memberships;
    private readonly Dictionary<long, (Guid Id, ulong Hash, EntryKind Kind)>[] seen;

    // Of the current connection: the last pushed seq of each room (-1: the next one may be any), the first, and what Heads said.
    private readonly Dictionary<short, long> pushed = [];
    private readonly Dictionary<short, long> first = [];
    private readonly Dictionary<short, long> heads = [];

    private ClientChecker(Verdict verdict, int client, int member, LogRow[][] logs, Dictionary<Guid, (int Client, Send Send)> sends)
    {
        (this.verdict, this.client, this.logs, this.sends) = (verdict, client, logs, sends);
        memberships = [.. logs.Select(log => Memberships(log, member))];
        seen = [.. logs.Select(_ => new Dictionary<long, (Guid, ulong, EntryKind)>())];
    }

    public static void Check(
        Verdict verdict, int client, ClientHistory history, LogRow[][] logs, Dictionary<Guid, (int Client, Send Send)> sends)
    {
        var checker = new ClientChecker(verdict, client, history.Member, logs, sends);
        var observations = history.Seen;
        for (var i = 0; i < observations.Count; i++)
            i = checker.Next(observations, i);
        checker.EndConnection();
        checker.CheckComplete();
    }

    private static List<(long From, long To)> Memberships(LogRow[] log, int member)
    {
        var spans = new List<(long From, long To)>();
        foreach (var row in log.Where(row => row.About == member))
        {
            if (row.Kind == EntryKind.MemberJoined)
                spans.Add((row.Seq, long.MaxValue));
            else if (row.Kind == EntryKind.MemberLeft && spans.Count > 0)
                spans[^1] = spans[^1] with { To = row.Seq };
        }

        return spans;
    }

    private int Next(List<Observation> observations, int index)
    {
        var observation = observations[index];
        switch (observation.What)
        {
            case Seen.Connected:
                EndConnection();
                break;
            case Seen.Head:
                heads.TryAdd(observation.Room, observation.Seq);
                break;
            case Seen.Resync:
                pushed[observation.Room] = -1;
                break;
            case Seen.Pushed:
                CheckOrder(observation);
                CheckEntry(observation);
                break;
            case Seen.Page:
                return CheckPage(observations, index);
        }

        return index;
    }

    private void EndConnection()
    {
        foreach (var (room, seq) in first)
        {
            if (heads.TryGetValue(room, out var head) && seq > head + 1)
                verdict.Add(Violation.Wire, $"client {client} room {room}: at connect the log stood at {head}, but the first push was {seq}");
        }

        pushed.Clear();
        first.Clear();
        heads.Clear();
    }

    private void CheckOrder(Observation observation)
    {
        var (room, seq) = (observation.Room, observation.Seq);
        if (!pushed.TryGetValue(room, out var last))
            first.Add(room, seq);
        else if (last >= 0 && seq != last + 1 && !Rejoined(room, last, seq))
            verdict.Add(Violation.Wire, $"client {client} room {room}: {(seq <= last ? "repeat" : "gap")}, {seq} pushed after {last}");
        pushed[room] = seq;
    }

    /// <summary>Whether the client left and came back in between.</summary>
    private bool Rejoined(short room, long last, long next) => memberships[room].Exists(span => span.From == next && next > last + 1)
        && memberships[room].Exists(span => span.To == last || (span.To > last && span.To < next));

    private int CheckPage(List<Observation> observations, int index)
    {
        var page = observations[index];
        var count = (int)page.Hash;
        var expected = Math.Max(page.Seq + 1, page.Extra);
        for (var i = 1; i <= count; i++, expected++)
        {
            var read = observations[index + i];
            if (read.Seq != expected)
            {
                verdict.Add(Violation.CursorSkip, $"client {client} room {page.Room}: Sync after {page.Seq} returned {read.Seq} where {expected} should be");
                expected = read.Seq;
            }

            CheckEntry(read);
        }

        return index + count;
    }

    private void CheckEntry(Observation observation)
    {
        var (room, seq) = (observation.Room, observation.Seq);
        var entry = (observation.Id, observation.Hash, observation.Kind);
        var where = $"client {client} room {room} seq {seq}";
        if (!memberships[room].Exists(span => span.From <= seq && seq <= span.To))
            verdict.Add(Violation.Leaked, $"{where}: not a member there ({string.Join(' ', memberships[room])})");
        if (seen[room].TryGetValue(seq, out var earlier) && earlier != entry)
            verdict.Add(Violation.Mismatch, $"{where}: saw {earlier.Id} and later {entry.Id}");
        seen[room][seq] = entry;
        if (Checker.Find(logs[room], seq) is not { } row)
            verdict.Add(Violation.Phantom, $"{where}: the log holds no such entry");
        else if ((row.Id, row.Hash, row.Kind) != entry)
            verdict.Add(Violation.Mismatch, $"{where}: saw {entry.Kind} {entry.Id}, the log holds {row.Kind} {row.Id}");
        if (entry.Kind == EntryKind.Message && sends.TryGetValue(entry.Id, out var sent) && sent.Send.Outcome == Outcome.Failed)
            verdict.Add(Violation.Phantom, $"{where}: its sender got a failure");
    }

    /// <summary>Everything a member was entitled to in the end must have been seen; while it was in earlier, it may have been away.</summary>
    private void CheckComplete()
    {
        for (short room = 0; room < logs.Length; room++)
        {
            foreach (var (from, to) in memberships[room])
            {
                if (to != long.MaxValue)
                    continue;
                foreach (var row in logs[room])
                {
                    if (row.Seq >= from && !seen[room].ContainsKey(row.Seq))
                        verdict.Add(Violation.Lost, $"client {client} room {room} seq {row.Seq}: never seen by this member");
                }
            }
        }
    }
}
