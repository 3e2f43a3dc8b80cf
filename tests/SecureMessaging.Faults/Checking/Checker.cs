using SecureMessaging.Faults.History;
using SecureMessaging.Protocol;

namespace SecureMessaging.Faults.Checking;

/// <summary>Judges a recorded history by the invariants of DESIGN 3.</summary>
/// <remarks>
/// 1. Each room's final log: contiguous, each content once, each sender in order, no entry that failed, and none without a sender.
/// 2. Each send: what was acknowledged stands in the log where the ack said.
/// 3. Each client: what it saw is the log, all of it that it may see and nothing else; pushes came in order, without gap and repeat, on each connection.
/// </remarks>
internal static class Checker
{
    public static Verdict Check(RoundHistory history)
    {
        var verdict = new Verdict();
        var sends = new Dictionary<Guid, (int Client, Send Send)>();
        for (var client = 0; client < history.Clients.Length; client++)
        {
            foreach (var send in history.Clients[client].Sends)
                sends[send.Id] = (client, send);
            foreach (var complaint in history.Clients[client].Complaints)
                verdict.Add(Violation.Unconverged, $"client {client}: {complaint}");
        }

        for (short room = 0; room < history.Logs.Length; room++)
            CheckLog(verdict, room, history.Logs[room], sends);
        foreach (var (client, send) in sends.Values)
            CheckSend(verdict, client, send, history.Logs[send.Room]);
        for (var client = 0; client < history.Clients.Length; client++)
            ClientChecker.Check(verdict, client, history.Clients[client], history.Logs, sends);
        return verdict;
    }

    private static void CheckLog(Verdict verdict, short room, LogRow[] log, Dictionary<Guid, (int Client, Send Send)> sends)
    {
        var contents = new HashSet<(int Sender, int Counter)>();
        var last = new Dictionary<int, int>();
        for (var i = 0; i < log.Length; i++)
        {
            var row = log[i];
            if (row.Seq != i + 1)
            {
                if (i == 0 || row.Seq != log[i - 1].Seq + 1)
                    verdict.Add(Violation.SeqGap, $"room {room}: {(i == 0 ? 0 : log[i - 1].Seq)} is followed by {row.Seq}");
            }

            if (row.Kind != EntryKind.Message)
                continue;
            if (!sends.TryGetValue(row.Id, out var sent))
                verdict.Add(Violation.Phantom, $"room {room} seq {row.Seq}: no client sent {row.Id}");
            else if (sent.Send.Outcome == Outcome.Failed)
                verdict.Add(Violation.Phantom, $"room {room} seq {row.Seq}: its sender got a failure");
            else if (sent.Send.Hash != row.Hash)
                verdict.Add(Violation.Mismatch, $"room {room} seq {row.Seq}: not the bytes that were sent");
            if (row.Sender < 0)
                continue;
            if (!contents.Add((row.Sender, row.Counter)))
                verdict.Add(Violation.Duplicated, $"room {room} seq {row.Seq}: client {row.Sender}'s {row.Counter} again");
            else if (last.TryGetValue(row.Sender, out var previous) && row.Counter < previous)
                verdict.Add(Violation.Reordered, $"room {room} seq {row.Seq}: client {row.Sender}'s {row.Counter} after {previous}");
            last[row.Sender] = row.Counter;
        }
    }

    private static void CheckSend(Verdict verdict, int client, Send send, LogRow[] log)
    {
        if (send.AckedTwice)
            verdict.Add(Violation.Duplicated, $"room {send.Room}: client {client}'s {send.Counter} was acknowledged at two places");
        if (send.Outcome != Outcome.Acked)
            return;
        verdict.Acked++;
        if (Find(log, send.Seq) is not { } row || row.Id != send.Id)
            verdict.Add(Violation.Lost, $"room {send.Room} seq {send.Seq}: client {client}'s {send.Counter} was acknowledged but is not there");
    }

    public static LogRow? Find(LogRow[] log, long seq)
    {
        // Contiguous in any healthy log; searched for all the same, as the log may be the culprit.
        if (seq >= 1 && seq <= log.Length && log[seq - 1].Seq == seq)
            return log[seq - 1];
        var index = Array.FindIndex(log, row => row.Seq == seq);
        return index < 0 ? null : log[index];
    }
}
