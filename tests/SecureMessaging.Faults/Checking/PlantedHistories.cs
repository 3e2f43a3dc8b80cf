using SecureMessaging.Faults.History;
using SecureMessaging.Protocol;

namespace SecureMessaging.Faults.Checking;

/// <summary>Small histories, each with one fault written into it, that show what the checker finds without any server.</summary>
internal static class PlantedHistories
{
    private static readonly Guid[] Ids = [.. Enumerable.Range(1, 9).Select(i => new Guid(i, 0, 0, new byte[8]))];

    /// <summary>Runs them all and returns, for each, its name and whether exactly the expected was found.</summary>
    public static IEnumerable<(string Name, bool Found, string Verdict)> Run()
    {
        yield return Judge("nothing wrong", null, _ => { });
        yield return Judge("acknowledged, then gone from the log", Violation.Lost, h => h.Logs[0] = h.Logs[0][..^1], ignore: Violation.Phantom);
        yield return Judge("a member never sees the last entry", Violation.Lost, h => h.Clients[1].Seen.RemoveAt(h.Clients[1].Seen.Count - 1));
        yield return Judge("the same content twice", Violation.Duplicated, h =>
        {
            Append(h, h.Logs[0][^1] with { Seq = 6, Id = Ids[8] });
            h.Clients[0].Sends.Add(h.Clients[0].Sends[^1] with { Id = Ids[8], Seq = 6 });
        });
        yield return Judge("acknowledged at two places", Violation.Duplicated, h => h.Clients[0].Sends[0] = h.Clients[0].Sends[0] with { AckedTwice = true });
        yield return Judge("a sender's later message first", Violation.Reordered, h =>
        {
            h.Logs[0][2] = h.Logs[0][2] with { Counter = 2 };
            h.Logs[0][3] = h.Logs[0][3] with { Counter = 1 };
        });
        yield return Judge("a failed send appears", Violation.Phantom, h => h.Clients[0].Sends[2] = h.Clients[0].Sends[2] with { Outcome = Outcome.Failed });
        yield return Judge("an entry that no client sent", Violation.Phantom, h => Append(h, new LogRow(6, EntryKind.Message, Ids[8], 99, -1, -1, -1)));
        yield return Judge("a hole in the log", Violation.SeqGap, h =>
        {
            Append(h, h.Logs[0][^1] with { Seq = 7, Id = Ids[8], Counter = 4 });
            h.Clients[0].Sends.Add(h.Clients[0].Sends[^1] with { Id = Ids[8], Seq = 7, Counter = 4 });
        }, ignore: Violation.Wire);
        yield return Judge("two observers differ", Violation.Mismatch, h => Replace(h, 3, seen => seen with { Id = Ids[8] }));
        yield return Judge("other bytes than were sent", Violation.Mismatch, h => Replace(h, 3, seen => seen with { Hash = 12345 }));
        yield return Judge("a push is left out", Violation.Wire, h =>
        {
            var missed = h.Clients[1].Seen[3];
            h.Clients[1].Seen.RemoveAt(3);
            ReadPage(h.Clients[1], missed.Seq - 1, missed);
        });
        yield return Judge("a push comes twice", Violation.Wire, h => h.Clients[1].Seen.Insert(4, h.Clients[1].Seen[3]));
        yield return Judge("pushes begin too late after connect", Violation.Wire, h =>
        {
            h.Clients[1].Seen.Insert(1, new Observation(Seen.Head, 0, 0, 0, default, 0, default, 0));
            var missed = h.Clients[1].Seen[2];
            h.Clients[1].Seen.RemoveAt(2);
            ReadPage(h.Clients[1], missed.Seq - 1, missed);
        });
        yield return Judge("a left-out push that was announced", null, h =>
        {
            var missed = h.Clients[1].Seen[3];
            h.Clients[1].Seen[3] = new Observation(Seen.Resync, 0, 0, 0, default, 0, default, 0);
            ReadPage(h.Clients[1], missed.Seq - 1, missed);
        });
        yield return Judge("a page skips", Violation.CursorSkip, h => ReadPage(h.Clients[1], 2, Look(h.Logs[0][3])));
        yield return Judge("seen after removal", Violation.Leaked, h =>
        {
            Append(h, new LogRow(6, EntryKind.MemberLeft, default, 0, -1, -1, 1));
            Append(h, h.Logs[0][2] with { Seq = 7, Id = Ids[8], Counter = 4 });
            h.Clients[0].Sends.Add(h.Clients[0].Sends[0] with { Id = Ids[8], Seq = 7, Counter = 4 });
        });
        yield return Judge("a send that never converged", Violation.Unconverged, h => h.Clients[0].Complaints.Add("planted"));
    }

    private static (string Name, bool Found, string Verdict) Judge(string name, Violation? expected, Action<RoundHistory> plant, Violation? ignore = null)
    {
        var history = Healthy();
        plant(history);
        var verdict = Checker.Check(history);
        var others = Enum.GetValues<Violation>().Where(violation => violation != expected && violation != ignore && verdict[violation] > 0);
        return (name, !others.Any() && (expected is null || verdict[expected.Value] > 0), verdict.ToString());
    }

    /// <summary>Client 0 sends three messages to itself and client 1, who gets everything pushed.</summary>
    private static RoundHistory Healthy()
    {
        LogRow[] log =
        [
            new(1, EntryKind.MemberJoined, default, 0, -1, -1, 0),
            new(2, EntryKind.MemberJoined, default, 0, -1, -1, 1),
            .. Enumerable.Range(1, 3).Select(i => new LogRow(i + 2, EntryKind.Message, Ids[i], (ulong)i, 0, i, -1)),
        ];
        ClientHistory[] clients = [new(0), new(1)];
        for (var i = 1; i <= 3; i++)
            clients[0].Sends.Add(new Send(0, Ids[i], i, (ulong)i, 0) { Seq = i + 2, Outcome = Outcome.Acked });
        for (var client = 0; client < 2; client++)
        {
            clients[client].Seen.Add(new Observation(Seen.Connected, 0, 0, 0, default, 0, default, 0));
            clients[client].Seen.AddRange(log[client..].Select(Look));
        }

        return new RoundHistory(clients, [log]);
    }

    private static Observation Look(LogRow row) => new(Seen.Pushed, 0, row.Seq, 0, row.Id, row.Hash, row.Kind, 0);

    /// <summary>The log grows, and everybody is pushed the entry.</summary>
    private static void Append(RoundHistory history, LogRow row)
    {
        history.Logs[0] = [.. history.Logs[0], row];
        foreach (var client in history.Clients)
            client.Seen.Add(Look(row));
    }

    private static void Replace(RoundHistory history, int index, Func<Observation, Observation> change) =>
        history.Clients[1].Seen[index] = change(history.Clients[1].Seen[index]);

    private static void ReadPage(ClientHistory client, long after, Observation entry)
    {
        client.Seen.Add(new Observation(Seen.Page, 0, after, 1, default, 1, default, 0));
        client.Seen.Add(entry with { What = Seen.Read });
    }
}
