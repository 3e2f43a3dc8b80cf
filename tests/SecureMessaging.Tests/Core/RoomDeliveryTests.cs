using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Tests.Core;

/// <summary>Delivery of a room's log whose parts arrive late.</summary>
public sealed class RoomDeliveryTests : IDisposable
{
    private const int Page = 500;

    private readonly ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly Guid roomId = Guid.NewGuid();
    private readonly Reader reader = new();
    private readonly RoomDelivery room;

    public RoomDeliveryTests()
    {
        room = new RoomDelivery(roomId, 0, new Subscribers(), new ServerMetrics(services.GetRequiredService<IMeterFactory>()));
        Assert.True(room.TrySubscribe(reader, joinedSeq: 1, asOfSeq: 0));
    }

    public void Dispose() => services.Dispose();

    [Theory]
    [InlineData(10)]
    [InlineData(3_000)]
    public void A_gap_is_filled_with_any_number_of_waiting_entries(int last)
    {
        LogEntry[] log = [.. Enumerable.Range(1, last).Select(seq => Entry(seq))];
        foreach (var entry in log.Skip(2))
            room.Accept([entry]);
        Assert.Empty(reader.Seqs);
        for (var reads = 0; room.HasGap && reads < 2 * last / Page + 2; reads++)
        {
            room.BeginRead();
            LogEntry[] page = [.. log.Where(entry => entry.Seq > room.Delivered).Take(Page)];
            room.Filling = false;
            if (page.Length > 0)
                room.Fill(page);
            else
                room.FillNothing();
        }

        Assert.Equal(log.Select(entry => entry.Seq), reader.Seqs);
        Assert.False(room.HasGap);
    }

    [Fact]
    public void Entries_noted_during_a_read_are_read_afterwards()
    {
        room.Recheck();
        room.BeginRead();
        // The commit was in flight when the read began.
        room.Recheck();
        room.FillNothing();
        Assert.True(room.HasGap);
        room.BeginRead();
        room.FillNothing();
        Assert.False(room.HasGap);
    }

    [Fact]
    public void A_page_is_followed_by_another_read_because_the_log_may_go_on()
    {
        room.Recheck();
        room.BeginRead();
        room.Filling = false;
        room.Fill([Entry(1), Entry(2)]);
        Assert.Equal([1, 2], reader.Seqs);
        Assert.True(room.HasGap);
        room.BeginRead();
        room.FillNothing();
        Assert.False(room.HasGap);
    }

    private static LogEntry Entry(long seq) => new(seq, EntryKind.Message, DateTime.UnixEpoch, Guid.NewGuid(), [1]);

    private sealed class Reader() : Subscriber(Guid.NewGuid(), Guid.NewGuid())
    {
        public List<long> Seqs { get; } = [];

        public override void Abort() => Assert.Fail("The connection was aborted.");

        public override void End(SessionEnded ended) => Assert.Fail("The connection was ended.");

        public override void Drain(TimeSpan after) => Assert.Fail("The connection was drained.");

        public override void SendEntries(EntryRun run, WriteBatch? writes) => Seqs.AddRange(run.Entries.Select(entry => entry.Seq));

        public override void SendRoomChanged(Guid roomId, RoomChange change, long seq, WriteBatch? writes) => Assert.Fail("No member came or went.");

        public override void SendEphemeral(DeliveryEvent ephemeral) => Assert.Fail("There was no signal.");
    }
}
