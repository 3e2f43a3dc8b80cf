using SecureMessaging.Tests.Client;

namespace SecureMessaging.Tests.MainJob;

/// <summary>The fate of the acknowledged messages. Every count but <see cref="Acknowledged"/> must be 0.</summary>
/// <param name="Acknowledged">Messages that the SDK reported as durable.</param>
/// <param name="Lost">Sends without an ack, and pairs of an acknowledged message and a member that never received it.</param>
/// <param name="Duplicated">Messages that one member received again, or that have more than one seq.</param>
/// <param name="Reordered">Entries after a later one, and messages of one sender in another order than sent.</param>
/// <param name="Gaps">Seqs that a member did not receive although it, or another member, received later ones.</param>
/// <param name="Altered">Messages with another text, seq or sender than acknowledged, and messages without a send.</param>
/// <param name="Findings">A sentence for each.</param>
public sealed record Verdict(int Acknowledged, int Lost, int Duplicated, int Reordered, int Gaps, int Altered, IReadOnlyList<string> Findings)
{
    public bool Clean => Findings.Count == 0;

    public override string ToString() =>
        $"acknowledged {Acknowledged}, lost {Lost}, duplicated {Duplicated}, reordered {Reordered}, gaps {Gaps}{(Altered > 0 ? $", altered {Altered}" : "")}";
}

/// <summary>Compares the sent, acknowledged and received messages of all clients. Independent of server and SDK.</summary>
public sealed class TranscriptChecker
{
    private readonly Dictionary<Guid, Sent> sends = [];
    private readonly Dictionary<(Guid Room, long Seq), Guid?> places = [];
    private readonly List<string> findings = [];
    private int acknowledged;
    private int lost;
    private int duplicated;
    private int reordered;
    private int gaps;
    private int altered;

    private TranscriptChecker()
    {
    }

    public static Verdict Check(IReadOnlyCollection<Transcript> transcripts)
    {
        var checker = new TranscriptChecker();
        foreach (var transcript in transcripts)
            checker.ReadSends(transcript);
        foreach (var transcript in transcripts)
            checker.CheckOrderOfSender(transcript);
        var heads = transcripts.SelectMany(t => t.Lines).Where(line => line.Seq > 0).GroupBy(line => line.RoomId)
            .ToDictionary(room => room.Key, room => room.Max(line => line.Seq));
        foreach (var transcript in transcripts)
        {
            foreach (var room in transcript.Rooms)
                checker.CheckReceiver(transcript, room, heads.GetValueOrDefault(room));
        }

        return new Verdict(
            checker.acknowledged, checker.lost, checker.duplicated, checker.reordered, checker.gaps, checker.altered, checker.findings);
    }

    private void ReadSends(Transcript transcript)
    {
        var order = 0;
        foreach (var line in transcript.Lines.Where(line => line.Event == TranscriptEvent.Sent))
        {
            if (!sends.TryAdd(line.Id!.Value, new Sent(transcript.Client, line.RoomId, order++, line.TextHash!)))
                Find(ref duplicated, $"{transcript.Client} sent {line.Id} twice");
        }

        foreach (var line in transcript.Lines.Where(line => line.Event == TranscriptEvent.Acknowledged))
        {
            if (!sends.TryGetValue(line.Id!.Value, out var sent) || sent.Client != transcript.Client || sent.Room != line.RoomId)
                Find(ref altered, $"{transcript.Client} was acknowledged {line.Id}, which it did not send there");
            else if (sent.Seq == 0)
                (sent.Seq, acknowledged) = (line.Seq, acknowledged + 1);
            else if (sent.Seq != line.Seq)
                Find(ref duplicated, $"{transcript.Client} was acknowledged {line.Id} at {sent.Seq} and at {line.Seq}");
        }
    }

    private void CheckOrderOfSender(Transcript transcript)
    {
        foreach (var room in sends.Values.Where(sent => sent.Client == transcript.Client).GroupBy(sent => sent.Room))
        {
            var last = 0L;
            foreach (var sent in room.OrderBy(sent => sent.Order))
            {
                if (sent.Seq == 0)
                    Find(ref lost, $"{sent.Client}'s send number {sent.Order} in {room.Key} was never acknowledged");
                else if (sent.Seq <= last)
                    Find(ref reordered, $"{sent.Client}'s send number {sent.Order} in {room.Key} stands at {sent.Seq}, an earlier one at {last}");
                last = Math.Max(last, sent.Seq);
            }
        }
    }

    private void CheckReceiver(Transcript transcript, Guid room, long head)
    {
        var seenSeqs = new HashSet<long>();
        var seenIds = new HashSet<Guid>();
        var highest = 0L;
        foreach (var line in transcript.Lines.Where(line => line.Event == TranscriptEvent.Received && line.RoomId == room))
        {
            if (!seenSeqs.Add(line.Seq) || (line.Id is { } id && !seenIds.Add(id)))
                Find(ref duplicated, $"{transcript.Client} received {line.Id} at {line.Seq} in {room} again");
            else if (line.Seq < highest)
                Find(ref reordered, $"{transcript.Client} received {line.Seq} after {highest} in {room}");
            highest = Math.Max(highest, line.Seq);
            CheckEntry(transcript.Client, line);
        }

        // A seq that a lost message explains is counted once, as lost, and not as a gap.
        var missing = new HashSet<long>();
        foreach (var (id, sent) in sends.Where(send => send.Value.Room == room && send.Value.Seq > 0 && !seenIds.Contains(send.Key)))
        {
            missing.Add(sent.Seq);
            Find(ref lost, $"{transcript.Client} never received {id} of {sent.Client}, acknowledged at {sent.Seq} in {room}");
        }

        // A member need not receive roster entries from before its join.
        for (var seq = seenSeqs.Count > 0 ? seenSeqs.Min() : 1; seq <= head; seq++)
        {
            if (!seenSeqs.Contains(seq) && !missing.Contains(seq))
                Find(ref gaps, $"{transcript.Client} saw nothing at {seq} in {room}, whose log goes to {head}");
        }
    }

    private void CheckEntry(string client, TranscriptLine line)
    {
        if (!places.TryAdd((line.RoomId, line.Seq), line.Id) && places[(line.RoomId, line.Seq)] != line.Id)
            Find(ref altered, $"{client} received {line.Id} at {line.Seq} in {line.RoomId}, others {places[(line.RoomId, line.Seq)]}");
        if (line.Id is not { } id)
            return;
        if (!sends.TryGetValue(id, out var sent))
            Find(ref altered, $"{client} received {id} without a send");
        else if (sent.Room != line.RoomId || (sent.Seq > 0 && sent.Seq != line.Seq) || sent.TextHash != line.TextHash || sent.Client != line.Sender)
            Find(ref altered, $"{client} received {id} of {line.Sender} at {line.Seq} in {line.RoomId} with text {line.TextHash}; sent {sent}");
    }

    private void Find(ref int count, string finding)
    {
        count++;
        findings.Add(finding);
    }

    private sealed record Sent(string Client, Guid Room, int Order, string TextHash)
    {
        /// <summary>The acknowledged seq; 0 before.</summary>
        public long Seq { get; set; }
    }
}
