using SecureMessaging.Tests.Client;

namespace SecureMessaging.Tests.MainJob;

/// <summary>Each planted fault is reported as what it is, and nothing else is reported.</summary>
public sealed class TranscriptCheckerTests
{
    private static readonly Guid Room = new(1, 0, 0, [0, 0, 0, 0, 0, 0, 0, 1]);
    private readonly List<TranscriptLine> alice = [];
    private readonly List<TranscriptLine> bob = [];

    public TranscriptCheckerTests()
    {
        // Two joins, then ten messages by turns; both members receive all.
        List<TranscriptLine> received = [Entry(1), Entry(2)];
        for (var i = 0; i < 10; i++)
        {
            var (lines, name) = i % 2 == 0 ? (alice, "alice") : (bob, "bob");
            lines.Add(new TranscriptLine(TranscriptEvent.Sent, i, Room, Id(i), TextHash: Hash(i)));
            lines.Add(new TranscriptLine(TranscriptEvent.Acknowledged, i, Room, Id(i), i + 3));
            received.Add(Entry(i + 3, Id(i), name, Hash(i)));
        }

        alice.AddRange(received);
        bob.AddRange(received);
    }

    [Fact]
    public void A_correct_transcript_has_no_findings()
    {
        var verdict = Check();
        Assert.Equal("acknowledged 10, lost 0, duplicated 0, reordered 0, gaps 0", verdict.ToString());
        Assert.True(verdict.Clean);
    }

    [Fact]
    public void A_dropped_message_is_lost()
    {
        bob.Remove(Received(4));
        AssertOnly(lost: 1);
    }

    [Fact]
    public void A_message_dropped_at_the_end_is_lost()
    {
        alice.Remove(Received(9));
        bob.Remove(Received(9));
        AssertOnly(lost: 2);
    }

    [Fact]
    public void A_send_that_was_never_acknowledged_is_lost()
    {
        alice.RemoveAll(line => line.Event == TranscriptEvent.Acknowledged && line.Id == Id(2));
        AssertOnly(acknowledged: 9, lost: 1);
    }

    [Fact]
    public void A_message_received_twice_is_duplicated()
    {
        bob.Add(Received(4));
        AssertOnly(duplicated: 1);
    }

    [Fact]
    public void A_message_stored_twice_is_duplicated()
    {
        alice.Add(Entry(13, Id(4), "alice", Hash(4)));
        bob.Add(Entry(13, Id(4), "alice", Hash(4)));
        // The second seq also differs from the acknowledged one.
        AssertOnly(duplicated: 2, altered: 2);
    }

    [Fact]
    public void Two_acks_at_different_places_are_a_duplicate()
    {
        alice.Add(new TranscriptLine(TranscriptEvent.Acknowledged, 99, Room, Id(0), 5));
        AssertOnly(duplicated: 1);
    }

    [Fact]
    public void The_same_ack_twice_is_fine()
    {
        alice.Add(new TranscriptLine(TranscriptEvent.Acknowledged, 99, Room, Id(0), 3));
        Assert.True(Check().Clean);
    }

    [Fact]
    public void Swapped_entries_are_reordered()
    {
        var at = bob.IndexOf(Received(4));
        (bob[at], bob[at + 1]) = (bob[at + 1], bob[at]);
        AssertOnly(reordered: 1);
    }

    [Fact]
    public void Sends_stored_in_another_order_are_reordered()
    {
        var (first, second) = (alice.FindIndex(Is(TranscriptEvent.Sent, 0)), alice.FindIndex(Is(TranscriptEvent.Sent, 2)));
        (alice[first], alice[second]) = (alice[second], alice[first]);
        AssertOnly(reordered: 1);
    }

    [Fact]
    public void A_seq_without_a_received_entry_is_a_gap()
    {
        alice.RemoveAll(line => line.Seq == 2 && line.Id is null);
        AssertOnly(gaps: 1);
    }

    [Fact]
    public void A_changed_text_seq_or_sender_is_altered()
    {
        bob[bob.IndexOf(Received(4))] = Received(4) with { TextHash = Hash(5) };
        AssertOnly(altered: 1);
        bob[bob.FindIndex(Is(TranscriptEvent.Received, 4))] = Entry(7, Id(4), "bob", Hash(4));
        AssertOnly(altered: 1);
    }

    [Fact]
    public void A_message_without_a_send_is_altered()
    {
        bob.Add(Entry(13, Id(77), "alice", Hash(77)));
        alice.Add(Entry(13, Id(77), "alice", Hash(77)));
        AssertOnly(altered: 2);
    }

    private static Guid Id(int i) => new(i, 0, 0x4000, [0, 0, 0, 0, 0, 0, 0, 2]);

    private static string Hash(int i) => Transcript.HashOf($"text {i}");

    private static TranscriptLine Entry(long seq, Guid? id = null, string? sender = null, string? hash = null) =>
        new(TranscriptEvent.Received, 100 + seq, Room, id, seq, sender, hash);

    private static TranscriptLine Received(int i) => Entry(i + 3, Id(i), i % 2 == 0 ? "alice" : "bob", Hash(i));

    private static Predicate<TranscriptLine> Is(TranscriptEvent kind, int i) => line => line.Event == kind && line.Id == Id(i);

    private Verdict Check() => TranscriptChecker.Check([new Transcript("alice", [Room], alice), new Transcript("bob", [Room], bob)]);

    private void AssertOnly(int acknowledged = 10, int lost = 0, int duplicated = 0, int reordered = 0, int gaps = 0, int altered = 0)
    {
        var verdict = Check();
        Assert.Equal(
            (acknowledged, lost, duplicated, reordered, gaps, altered),
            (verdict.Acknowledged, verdict.Lost, verdict.Duplicated, verdict.Reordered, verdict.Gaps, verdict.Altered));
        Assert.Equal(lost + duplicated + reordered + gaps + altered, verdict.Findings.Count);
    }
}
