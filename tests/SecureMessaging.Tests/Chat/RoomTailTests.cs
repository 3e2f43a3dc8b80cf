using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Chat;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Tests.Chat;

/// <summary>How a room's log is delivered when parts of it arrive late.</summary>
public sealed class RoomTailTests : IDisposable
{
    private const int Page = 500;

    private readonly ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly Guid roomId = Guid.NewGuid();
    private readonly Reader reader = new();
    private readonly RoomTail tail;

    public RoomTailTests()
    {
        tail = new RoomTail(roomId, 0, new ChatConnections(), new ServerMetrics(services.GetRequiredService<IMeterFactory>()));
        Assert.True(tail.TrySubscribe(reader, joinedSeq: 1, asOfSeq: 0));
    }

    public void Dispose() => services.Dispose();

    [Theory]
    [InlineData(10)]
    [InlineData(3_000)]
    public void A_gap_is_filled_however_many_entries_wait_behind_it(int last)
    {
        LogEntry[] log = [.. Enumerable.Range(1, last).Select(seq => Entry(seq))];
        foreach (var entry in log.Skip(2))
            tail.Accept([entry]);
        Assert.Empty(reader.Seqs);
        for (var reads = 0; tail.HasGap && reads < 2 * last / Page + 2; reads++)
        {
            tail.BeginRead();
            LogEntry[] page = [.. log.Where(entry => entry.Seq > tail.Delivered).Take(Page)];
            tail.Filling = false;
            if (page.Length > 0)
                tail.Fill(page);
            else
                tail.FillNothing();
        }

        Assert.Equal(log.Select(entry => entry.Seq), reader.Seqs);
        Assert.False(tail.HasGap);
    }

    [Fact]
    public void What_is_noted_while_the_log_is_read_is_read_afterwards()
    {
        tail.Recheck();
        tail.BeginRead();
        // Its commit was on its way when the read began.
        tail.Recheck();
        tail.FillNothing();
        Assert.True(tail.HasGap);
        tail.BeginRead();
        tail.FillNothing();
        Assert.False(tail.HasGap);
    }

    private static LogEntry Entry(long seq) => new(seq, EntryKind.Message, DateTime.UnixEpoch, Guid.NewGuid(), [1]);

    private sealed class Reader() : ChatConnection(Guid.NewGuid(), Guid.NewGuid())
    {
        public List<long> Seqs { get; } = [];

        public override void Abort() => Assert.Fail("The connection was aborted.");

        public override void End(SerializedHubMessage farewell) => Assert.Fail("The connection was ended.");

        public override void Drain(TimeSpan after) => Assert.Fail("The connection was drained.");

        public override void SendEntries(EntryRun run) => Seqs.AddRange(run.Entries.Select(entry => entry.Seq));

        public override void SendRoomChanged(Guid roomId, RoomChange change) => Assert.Fail("No member came or went.");

        public override void SendEphemeral(Ephemeral ephemeral) => Assert.Fail("There was no signal.");
    }
}
