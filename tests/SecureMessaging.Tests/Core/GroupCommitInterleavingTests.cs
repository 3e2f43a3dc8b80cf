using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Core;

/// <summary>
/// The writer of a node over a log in memory with seeded failures: outages, batches that cannot be stored as a whole, and envelopes that can never be
/// stored. Every send must get exactly one result, and entries must be published once, in the order of seq, after their ack.
/// </summary>
public sealed class GroupCommitInterleavingTests : IDisposable
{
    private const int Runs = 300;
    private const int BatchLength = 8;

    private readonly ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();

    public void Dispose() => services.Dispose();

    [Fact]
    public async Task Every_send_gets_its_one_result_and_entries_are_published_in_order_after_the_ack()
    {
        var metrics = new ServerMetrics(services.GetRequiredService<IMeterFactory>());
        var (acks, failures, locked) = (0, 0, 0);
        for (var run = 0; run < Runs; run++)
        {
            var seed = Seed.Value + run;
            var random = new Random(seed);
            Guid[] rooms = [.. Enumerable.Range(0, 3).Select(_ => Guid.NewGuid())];
            var append = new FaultyLog(new Random(seed + 1), rooms);
            var feed = new CommitFeed();
            var groups = new ConcurrentBag<SendGroup>();
            var published = new List<(Guid RoomId, LogEntry Entry)>();
            var early = new List<Guid>();
            var stale = new ConcurrentBag<Guid>();
            feed.MarkedStale += stale.Add;
            feed.Attach((committed, _) =>
            {
                early.AddRange(committed.Entries.Select(entry => entry.Id!.Value).Where(id => !IsAcknowledged(groups, id) && !IsInSeveralRooms(groups, id)));
                published.AddRange(committed.Entries.Select(entry => (committed.RoomId, entry)));
                return ValueTask.CompletedTask;
            });
            using var commit = new GroupCommit(append, feed, new FakeTimeProvider(), BatchLength, 1000, _ => { }, metrics, NullLogger.Instance);
            var writer = new Thread(commit.Run);
            writer.Start();
            var earlier = new List<Envelope>();
            for (var i = 0; i < 40; i++)
            {
                Envelope[] envelopes = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => Make(random, rooms, earlier))
                    .DistinctBy(envelope => (envelope.RoomId, envelope.Id))];
                earlier.AddRange(envelopes);
                var group = new SendGroup(envelopes, 0, envelopes.Length == 1 && random.Next(2) == 0 ? new NoOutput() : null);
                groups.Add(group);
                Assert.True(commit.TryQueue(group));
                if (random.Next(6) == 0)
                    await Task.Yield();
            }

            commit.Finish();
            Assert.True(
                await Task.Run(() => writer.Join(TimeSpan.FromSeconds(60)), TestContext.Current.CancellationToken), $"seed {seed}: the writer does not end");
            var results = new List<SendResult>();
            foreach (var group in groups)
            {
                var own = await group.Completion.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
                Assert.Equal(group.Envelopes.Length, own.Length);
                foreach (var (envelope, result) in group.Envelopes.Zip(own))
                {
                    if (result.Ack is { } ack)
                        Assert.Equal((envelope.RoomId, envelope.Id, append.SeqOf(envelope)), (ack.RoomId, ack.ClientMessageId, ack.Seq));
                    else if (envelope.Ciphertext[0] == FaultyLog.Poison)
                        Assert.True(
                            result.Error is { Code: ErrorCode.Unavailable or ErrorCode.Overloaded or ErrorCode.Invalid or ErrorCode.Internal },
                            $"seed {seed}: {result.Error}");
                }

                // Otherwise later envelopes of the sender would overtake the failed one in the same room.
                foreach (var room in group.Envelopes.Zip(own).GroupBy(pair => pair.First.RoomId, pair => pair.Second))
                {
                    Assert.All(
                        room.SkipWhile(result => result.Error is not { Retryable: true }),
                        result => Assert.True(result.Ack is null, $"seed {seed}: overtaken"));
                }

                results.AddRange(own);
            }

            Assert.True(early.Count == 0, $"seed {seed}: published before the ack");
            foreach (var room in rooms)
            {
                // Entries of a commit whose outcome is unknown are not published: the room is stale, so delivery reads them.
                var unknown = append.Unknown.Where(entry => entry.RoomId == room).Select(entry => entry.Seq).ToList();
                Assert.Equal(append.Entries(room).Except(unknown), published.Where(item => item.RoomId == room).Select(item => item.Entry.Seq));
                Assert.True(unknown.Count == 0 || stale.Contains(room), $"seed {seed}: the room is not marked stale");
            }

            Assert.InRange(append.LargestBatch, 1, BatchLength);
            Assert.False(append.Repeated, $"seed {seed}: the same id twice in one batch");
            Assert.All(results, result => Assert.True(result.Ack is not { Duplicate: true } ack || stale.Contains(ack.RoomId), $"seed {seed}: a repeat"));
            acks += results.Count(result => result.Ack is not null);
            failures += results.Count(result => result.Error is not null);
            locked += append.Locked;
        }

        // Otherwise the test would cover no failures.
        Assert.True(acks > Runs && failures > Runs && locked > Runs, $"{acks} acks, {failures} failures, {locked} found their room locked");
    }

    private static bool IsAcknowledged(IEnumerable<SendGroup> groups, Guid id) => groups.Any(group =>
        group.Envelopes.Any(envelope => envelope.Id == id) && group.Completion is { IsCompletedSuccessfully: true, Result: var results }
        && results[Array.FindIndex(group.Envelopes, envelope => envelope.Id == id)].Ack is not null);

    // Such a group has its ack when the last of its rooms has its part; one of them may be locked.
    private static bool IsInSeveralRooms(IEnumerable<SendGroup> groups, Guid id) =>
        groups.Any(group => group.Parts.Length > 1 && group.Envelopes.Any(envelope => envelope.Id == id));

    private static Envelope Make(Random random, Guid[] rooms, List<Envelope> earlier) => random.Next(8) == 0 && earlier.Count > 0
        ? earlier[random.Next(earlier.Count)]
        : new Envelope(
            rooms[random.Next(rooms.Length)], Guid.NewGuid(), Guid.NewGuid(), new byte[OwnerProof.Length],
            [(byte)(random.Next(20) == 0 ? FaultyLog.Poison : 1)], 0, null);

    private sealed class NoOutput : IBatchedOutput
    {
        public void Hold(WriteBatch writes)
        {
        }
    }

    /// <summary>A log in memory. It stores a batch as a whole or not at all.</summary>
    private sealed class FaultyLog(Random random, Guid[] known) : IEnvelopeAppend
    {
        public const byte Poison = 66;

        private readonly Dictionary<Guid, List<Guid>> rooms = known.ToDictionary(room => room, _ => new List<Guid>());

        private readonly HashSet<Guid> locked = [];

        /// <summary>Envelopes that found their room locked.</summary>
        public int Locked { get; private set; }

        /// <summary>Entries that were stored by a commit whose answer was lost.</summary>
        public List<(Guid RoomId, long Seq)> Unknown { get; } = [];

        public int LargestBatch { get; private set; }

        /// <summary>Whether a batch had the same id twice.</summary>
        public bool Repeated { get; private set; }

        public long SeqOf(Envelope envelope) => rooms[envelope.RoomId].IndexOf(envelope.Id) + 1;

        public IEnumerable<long> Entries(Guid roomId) => Enumerable.Range(1, rooms[roomId].Count).Select(seq => (long)seq);

        public AppendOutcome[] Append(IReadOnlyList<Envelope> batch, DateTime now)
        {
            // Not an assertion: the writer catches every exception.
            Repeated |= batch.Count != batch.DistinctBy(envelope => (envelope.RoomId, envelope.Id)).Count();
            LargestBatch = Math.Max(LargestBatch, batch.Count);
            if (random.Next(12) == 0)
                throw new ApiException(ErrorCode.Unavailable, "The database is away.");
            if (batch.Any(envelope => envelope.Ciphertext[0] == Poison) || random.Next(12) == 0)
                throw new InvalidDataException("The batch cannot be stored.");
            // Another transaction locks a room now and then.
            if (random.Next(4) == 0)
                locked.Add(known[random.Next(known.Length)]);
            else if (random.Next(3) == 0)
                locked.Clear();
            Locked += batch.Count(envelope => locked.Contains(envelope.RoomId));
            AppendOutcome[] outcomes = [.. batch.Select(envelope =>
                locked.Contains(envelope.RoomId) ? new AppendOutcome { Status = AppendStatus.RoomLocked } : Store(envelope))];
            if (random.Next(12) > 0)
                return outcomes;
            Unknown.AddRange(batch.Zip(outcomes).Where(pair => pair.Second.Status == AppendStatus.Stored).Select(pair => (pair.First.RoomId, pair.Second.Seq)));
            throw new ApiException(ErrorCode.Unavailable, "The answer to the commit was lost.");
        }

        public bool IsDefinite(Exception exception) => false;

        private AppendOutcome Store(Envelope envelope)
        {
            if (!rooms.TryGetValue(envelope.RoomId, out var log))
                return new AppendOutcome { Status = AppendStatus.NotMember };
            var at = log.IndexOf(envelope.Id);
            if (at < 0)
                log.Add(envelope.Id);
            return new AppendOutcome
            {
                Status = at < 0 ? AppendStatus.Stored : AppendStatus.Duplicate,
                Seq = at < 0 ? log.Count : at + 1,
                CreatedAt = DateTime.UnixEpoch,
            };
        }
    }
}
