using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Core;

/// <summary>The shards over a log in memory, with writers on several threads and a clock that the test moves.</summary>
public sealed class DeliveryShardsTests : IAsyncDisposable
{
    private const int Page = 20;

    /// <summary>Entries of this node that may wait for a shard.</summary>
    private const int MaxQueued = 1024;

    /// <summary>The same for entries of other nodes.</summary>
    private const int MaxOffered = 8192;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly FakeTimeProvider time = new();
    private readonly Lines lines = new();
    private readonly ConcurrentDictionary<Guid, List<LogEntry>> log = new();
    private readonly DeliveryShards shards;
    private Func<Exception?> readFailure = () => null;
    private int reads;

    public DeliveryShardsTests() =>
        shards = new DeliveryShards(new Subscribers(), ReadAsync, new ServerMetrics(services.GetRequiredService<IMeterFactory>()), time, lines);

    public async ValueTask DisposeAsync()
    {
        await shards.StopAsync(CancellationToken.None);
        shards.Dispose();
        await services.DisposeAsync();
    }

    [Fact]
    public async Task Every_subscriber_gets_the_log_without_gaps_although_publishes_are_lost_and_reads_fail()
    {
        var failures = new Random(Seed.Value);
        readFailure = () =>
        {
            lock (failures)
                return failures.Next(10) == 0 ? new TimeoutException() : null;
        };
        shards.Grace = TimeSpan.FromMilliseconds(20);
        Guid[] rooms = [.. Enumerable.Range(0, 12).Select(_ => Guid.NewGuid())];
        var readers = new ConcurrentBag<(Guid RoomId, Reader Reader)>();
        var writers = Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            var random = new Random(Seed.Value + writer);
            for (var step = 0; step < 400; step++)
            {
                // A room has one writer at a time, as in the server.
                var roomId = rooms[writer + (4 * random.Next(3))];
                if (random.Next(20) == 0)
                    readers.Add((roomId, await SubscribeAsync(roomId)));
                var committed = Commit(roomId, random.Next(1, 6));
                switch (random.Next(4))
                {
                    case 0:
                        shards.Offer(committed);
                        break;
                    case 1:
                        // The publish is lost.
                        break;
                    default:
                        await shards.DeliverAsync(committed);
                        break;
                }
            }
        })).ToList();
        await UntilAsync(() => writers.All(writer => writer.IsCompleted));
        await Task.WhenAll(writers);
        foreach (var roomId in rooms)
            shards.NoteHead(roomId, Head(roomId));
        await UntilAsync(() => readers.All(reader => reader.Reader.Last == Head(reader.RoomId)));
        Assert.True(readers.Count > 12, $"{readers.Count} subscribers");
        Assert.All(readers, reader => Assert.Equal(reader.Reader.Seqs.Order().Distinct(), reader.Reader.Seqs));
        Assert.All(readers, reader => Assert.Equal(reader.Reader.Seqs[^1] - reader.Reader.Seqs[0] + 1, reader.Reader.Seqs.Count));
    }

    [Fact]
    public async Task A_writer_waits_while_the_shard_of_its_room_is_full()
    {
        var roomId = Guid.NewGuid();
        var reader = await SubscribeAsync(roomId);
        var busy = reader.Block();
        var first = Task.Run(() => shards.DeliverAsync(Commit(roomId, 1)).AsTask());
        await UntilAsync(() => reader.IsBlocked);
        var accepted = 1;
        Task waiting;
        while ((waiting = shards.DeliverAsync(Commit(roomId, 1)).AsTask()).IsCompleted)
            accepted++;
        Assert.Equal(MaxQueued, accepted);
        busy.SetResult();
        await Task.WhenAll(first, waiting).WaitAsync(Patience);
        await UntilAsync(() => reader.Last == Head(roomId));
        Assert.Equal(Enumerable.Range(1, accepted + 1).Select(seq => (long)seq), reader.Seqs);
    }

    [Fact]
    public async Task Entries_of_other_nodes_beyond_the_bound_are_dropped_and_read_from_the_log()
    {
        var roomId = Guid.NewGuid();
        var reader = await SubscribeAsync(roomId);
        var busy = reader.Block();
        var first = Task.Run(() => shards.Offer(Commit(roomId, 1)));
        await UntilAsync(() => reader.IsBlocked);
        while (Head(roomId) < MaxOffered + 100)
            shards.Offer(Commit(roomId, 1));
        Assert.Equal(0, Volatile.Read(ref reads));
        busy.SetResult();
        await first.WaitAsync(Patience);
        await UntilAsync(() => reader.Last == Head(roomId));
        Assert.Equal(Enumerable.Range(1, MaxOffered + 100).Select(seq => (long)seq), reader.Seqs);
        Assert.NotEqual(0, Volatile.Read(ref reads));

        // The places are free again, so nothing more is dropped and read.
        await shards.DeliverAsync(Commit(roomId, 1));
        await UntilAsync(() => reader.Last == Head(roomId));
        var before = Volatile.Read(ref reads);
        shards.Offer(Commit(roomId, 1));
        await UntilAsync(() => reader.Last == Head(roomId));
        Assert.Equal(before, Volatile.Read(ref reads));
    }

    [Fact]
    public async Task A_gap_is_read_only_after_the_grace()
    {
        shards.Grace = TimeSpan.FromMilliseconds(20);
        var roomId = Guid.NewGuid();
        var reader = await SubscribeAsync(roomId);
        var late = Commit(roomId, 1);
        await shards.DeliverAsync(Commit(roomId, 1));
        time.Advance(TimeSpan.FromMilliseconds(19));
        Assert.Equal((0, 0), (reader.Seqs.Count, Volatile.Read(ref reads)));
        // It arrives in time after all.
        await shards.DeliverAsync(late);
        Assert.Equal([1, 2], reader.Seqs);
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(0, Volatile.Read(ref reads));

        Commit(roomId, 1);
        await shards.DeliverAsync(Commit(roomId, 1));
        await UntilAsync(() => reader.Last == 4);
        Assert.Equal(1, Volatile.Read(ref reads));
    }

    [Fact]
    public async Task A_failed_read_is_repeated_after_a_quarter_of_a_second_and_logged_once_a_minute()
    {
        var failing = true;
        readFailure = () => failing ? new TimeoutException() : null;
        var roomId = Guid.NewGuid();
        var reader = await SubscribeAsync(roomId);
        Commit(roomId, 1);
        shards.NoteHead(roomId, 1);
        // While the clock stands still, other work passes and the read is not repeated.
        while (lines.All.IsEmpty)
            await Task.Delay(1, TestContext.Current.CancellationToken);
        for (var i = 0; i < 100; i++)
            await SubscribeAsync(Guid.NewGuid());
        Assert.Equal(1, Volatile.Read(ref reads));
        await UntilAsync(() => Volatile.Read(ref reads) >= 3);
        failing = false;
        await UntilAsync(() => reader.Last == 1);
        Assert.Equal([(4001, LogLevel.Warning)], lines.All);
    }

    [Fact]
    public async Task A_subscriber_that_fails_is_logged_and_the_room_goes_on()
    {
        var roomId = Guid.NewGuid();
        var reader = await SubscribeAsync(roomId);
        reader.FailOnce();
        await shards.DeliverAsync(Commit(roomId, 1));
        // No later entry is needed.
        await UntilAsync(() => reader.Last == 1);
        await shards.DeliverAsync(Commit(roomId, 1));
        await UntilAsync(() => reader.Last == 2);
        Assert.Equal([1, 2], reader.Seqs);
        Assert.Equal([(4000, LogLevel.Error)], lines.All);
    }

    [Fact]
    public async Task A_room_without_connections_is_forgotten()
    {
        var roomId = Guid.NewGuid();
        var reader = await SubscribeAsync(roomId);
        Assert.Equal([roomId], shards.Rooms());
        shards.Unsubscribe(reader);
        await UntilAsync(() => !shards.Has(roomId));
    }

    private async Task<Reader> SubscribeAsync(Guid roomId)
    {
        var reader = new Reader();
        while (!await shards.SubscribeAsync(roomId, reader, joinedSeq: 1, asOfSeq: Head(roomId), CancellationToken.None).WaitAsync(Patience))
        {
        }

        return reader;
    }

    private CommittedEntries Commit(Guid roomId, int count)
    {
        var entries = log.GetOrAdd(roomId, _ => []);
        lock (entries)
        {
            LogEntry[] added = [.. Enumerable.Range(entries.Count + 1, count).Select(seq =>
                new LogEntry(seq, EntryKind.Message, DateTime.UnixEpoch, Guid.NewGuid(), [1]))];
            entries.AddRange(added);
            return new CommittedEntries(roomId, added);
        }
    }

    private long Head(Guid roomId)
    {
        var entries = log.GetOrAdd(roomId, _ => []);
        lock (entries)
            return entries.Count;
    }

    private Task<List<LogEntry>> ReadAsync(Guid roomId, long afterSeq, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref reads);
        if (readFailure() is { } failure)
            return Task.FromException<List<LogEntry>>(failure);
        var entries = log.GetOrAdd(roomId, _ => []);
        lock (entries)
            return Task.FromResult(entries.Skip((int)afterSeq).Take(Page).ToList());
    }

    /// <summary>Lets the shards' threads work and their clock pass.</summary>
    private async Task UntilAsync(Func<bool> condition)
    {
        var end = DateTime.UtcNow + Patience;
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < end, "It did not happen within the time that the test waits.");
            time.Advance(TimeSpan.FromMilliseconds(10));
            await Task.Delay(1, CancellationToken.None);
        }
    }

    private sealed class Lines : ILogger<DeliveryShards>
    {
        public ConcurrentQueue<(int Id, LogLevel Level)> All { get; } = new();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            All.Enqueue((eventId.Id, logLevel));
    }

    private sealed class Reader() : Subscriber(Guid.NewGuid(), Guid.NewGuid())
    {
        private readonly List<long> seqs = [];
        private TaskCompletionSource? gate;
        private bool fails;

        public bool IsBlocked { get; private set; }

        public long Last { get; private set; }

        public List<long> Seqs
        {
            get
            {
                lock (seqs)
                    return [.. seqs];
            }
        }

        /// <summary>The next delivery, and with it the shard, waits until the result is set.</summary>
        public TaskCompletionSource Block() => gate = new TaskCompletionSource();

        public void FailOnce() => fails = true;

        public override void SendEntries(EntryRun run, WriteBatch? writes)
        {
            if (fails)
            {
                fails = false;
                throw new InvalidOperationException("A defect of the connection.");
            }

            if (gate is { Task.IsCompleted: false })
            {
                IsBlocked = true;
                Assert.True(gate.Task.Wait(Patience));
            }

            lock (seqs)
                seqs.AddRange(run.Entries.Select(entry => entry.Seq));
            Last = run.Entries[^1].Seq;
        }

        public override void Abort() => Assert.Fail("The connection was aborted.");

        public override void End(SessionEnded ended) => Assert.Fail("The connection was ended.");

        public override void Drain(TimeSpan after) => Assert.Fail("The connection was drained.");

        public override void SendRoomChanged(Guid roomId, RoomChange change, long seq, WriteBatch? writes) => Assert.Fail("No member came or went.");

        public override void SendEphemeral(DeliveryEvent ephemeral) => Assert.Fail("There was no signal.");
    }
}
