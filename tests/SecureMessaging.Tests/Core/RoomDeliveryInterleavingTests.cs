using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Core;

/// <summary>
/// One room under seeded interleavings of commits, lost, late and repeated publishes, reads of the log, joins, leaves, connects and disconnects. Every
/// connection must get exactly the entries of its user's membership, in the order of seq, from its subscription on.
/// </summary>
public sealed class RoomDeliveryInterleavingTests : IDisposable
{
    private const int Runs = 500;
    private const int Steps = 150;

    private readonly ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();

    public void Dispose() => services.Dispose();

    [Fact]
    public void Every_connection_gets_exactly_its_membership_in_order()
    {
        var metrics = new ServerMetrics(services.GetRequiredService<IMeterFactory>());
        var joins = 0;
        for (var run = 0; run < Runs; run++)
        {
            var seed = Seed.Value + run;
            var world = new World(new Random(seed), metrics);
            for (var step = 0; step < Steps; step++)
                world.Step();
            world.Finish();
            foreach (var reader in world.All)
                Assert.True(reader.Expected(world.Log)
                    .SequenceEqual(reader.Seqs), $"seed {seed}: expected {string.Join(' ', reader.Expected(world.Log))}, got {string.Join(' ', reader.Seqs)}");
            Assert.All(world.All, reader =>
                Assert.True(reader.Visible(world.Log).IsSupersetOf(reader.Seqs), $"seed {seed}: an entry outside of the membership"));
            joins += world.Log.Count(entry => entry.Kind == EntryKind.MemberJoined);
        }

        // Otherwise the test would cover no roster changes.
        Assert.True(joins > Runs, $"{joins} joins");
    }

    private sealed class World
    {
        private readonly Random random;
        private readonly Guid roomId = Guid.NewGuid();
        private readonly Guid[] users = [.. Enumerable.Range(0, 4).Select(_ => Guid.NewGuid())];
        private readonly Dictionary<Guid, long> members = [];
        private readonly Subscribers connected = new();
        private readonly RoomDelivery room;
        private readonly List<LogEntry[]> onTheWay = [];
        private readonly List<Reader> readers = [];
        private readonly List<(Reader Reader, long JoinedSeq, long AsOfSeq)> subscribing = [];
        private bool reading;

        public World(Random random, ServerMetrics metrics)
        {
            this.random = random;
            room = new RoomDelivery(roomId, 0, connected, metrics);
            Commit(Enter(users[0]));
        }

        public List<LogEntry> Log { get; } = [];

        public List<Reader> All { get; } = [];

        public void Step()
        {
            switch (random.Next(10))
            {
                case < 3:
                    Commit([.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => Next(EntryKind.Message))]);
                    break;
                case 3:
                    var user = users[random.Next(users.Length)];
                    Commit(members.ContainsKey(user) ? Exit(user) : Enter(user));
                    break;
                case < 6:
                    Arrive();
                    break;
                case 6:
                    room.Note(Log.Count);
                    break;
                case 7:
                    Read();
                    break;
                case 8:
                    Connect();
                    break;
                default:
                    if (subscribing.Count > 0)
                        Subscribe();
                    else if (readers.Count > 3)
                        Disconnect();
                    break;
            }
        }

        /// <summary>All publishes are lost from here on; the room learns the head and reads.</summary>
        public void Finish()
        {
            while (subscribing.Count > 0)
                Subscribe();
            room.Note(Log.Count);
            for (var reads = 0; reading || room.HasGap; reads++)
            {
                Assert.True(reads < 2 * Steps, "The room does not come to the end of its log.");
                Read();
            }
        }

        private LogEntry Next(EntryKind kind, Guid? user = null)
        {
            var entry = new LogEntry(Log.Count + 1, kind, DateTime.UnixEpoch, Guid.NewGuid(), [1], UserId: user);
            Log.Add(entry);
            return entry;
        }

        private LogEntry Enter(Guid user)
        {
            var entry = Next(EntryKind.MemberJoined, user);
            members[user] = entry.Seq;
            return entry;
        }

        private LogEntry Exit(Guid user)
        {
            members.Remove(user);
            return Next(EntryKind.MemberLeft, user);
        }

        private void Commit(params LogEntry[] entries) => onTheWay.Add(entries);

        /// <summary>A publish arrives: any of those on the way, some of them twice, some never.</summary>
        private void Arrive()
        {
            if (onTheWay.Count == 0)
                return;
            var next = random.Next(4) == 0 ? random.Next(onTheWay.Count) : 0;
            var entries = onTheWay[next];
            if (random.Next(8) > 0)
                onTheWay.RemoveAt(next);
            if (random.Next(8) > 0)
                room.Accept(entries);
        }

        /// <summary>Begins a read of the log, or ends the one that is under way: what is committed in between is not in its page.</summary>
        private void Read()
        {
            if (!reading)
            {
                if (!room.HasGap)
                    return;
                room.BeginRead();
                page = [.. Log.Skip((int)room.Delivered).Take(random.Next(1, 20))];
                reading = true;
                return;
            }

            reading = room.Filling = false;
            if (page.Length > 0)
                room.Fill(page);
            else
                room.FillNothing();
        }

        private LogEntry[] page = [];

        /// <summary>As the registry does: known first, then the membership is read, and later the room subscribes it.</summary>
        private void Connect()
        {
            var reader = new Reader(users[random.Next(users.Length)]);
            readers.Add(reader);
            All.Add(reader);
            reader.Settle();
            connected.Add(reader);
            Look(reader);
        }

        private void Look(Reader reader)
        {
            if (members.TryGetValue(reader.UserId, out var joined))
                subscribing.Add((reader, joined, Log.Count));
        }

        private void Subscribe()
        {
            var (reader, joined, asOf) = subscribing[0];
            subscribing.RemoveAt(0);
            if (reader.IsClosed)
                return;
            var isNew = reader.Lacks(roomId);
            if (room.TrySubscribe(reader, joined, asOf))
            {
                if (isNew)
                    reader.Begin(room.Delivered, joined);
                // What was committed since the membership was read may not have been published to this room.
                room.Note(Log.Count);
            }
            else
            {
                Look(reader);
            }
        }

        private void Disconnect()
        {
            var reader = readers[0];
            readers.RemoveAt(0);
            connected.Remove(reader);
            reader.IsClosed = true;
            reader.Last = room.Delivered;
            foreach (var _ in reader.Close())
                room.Unsubscribe(reader);
        }
    }

    private sealed class Reader(Guid userId) : Subscriber(userId, Guid.NewGuid())
    {
        private readonly Dictionary<long, long> begun = [];
        private bool joins;

        public List<long> Seqs { get; } = [];

        public bool IsClosed { get; set; }

        public long Last { get; set; } = long.MaxValue;

        /// <summary>The room delivers to this connection from now on.</summary>
        /// <param name="delivered">How far the room had come.</param>
        /// <param name="joinedSeq">Where the membership began.</param>
        public void Begin(long delivered, long joinedSeq) => begun.TryAdd(delivered, joinedSeq);

        /// <summary>
        /// The membership that was read at connect counts from its join to the next leave; each later join begins another one. Entries that the room
        /// delivered before it subscribed the connection are not repeated.
        /// </summary>
        public IEnumerable<long> Expected(List<LogEntry> log)
        {
            if (begun.Count == 0)
                yield break;
            var first = begun.Keys.Min();
            long? joined = null;
            foreach (var entry in log.Where(entry => entry.Seq > first && entry.Seq <= Last))
            {
                if (begun.TryGetValue(entry.Seq - 1, out var seq))
                    joined = seq;
                var own = entry.UserId == UserId;
                if (own && entry.Kind == EntryKind.MemberJoined)
                    joined ??= entry.Seq;
                if (joined <= entry.Seq)
                    yield return entry.Seq;
                if (own && entry.Kind == EntryKind.MemberLeft)
                    joined = null;
            }
        }

        /// <summary>The entries that the user may see at all.</summary>
        public HashSet<long> Visible(List<LogEntry> log)
        {
            var isIn = false;
            var visible = new HashSet<long>();
            foreach (var entry in log)
            {
                var own = entry.UserId == UserId;
                isIn |= own && entry.Kind == EntryKind.MemberJoined;
                if (isIn)
                    visible.Add(entry.Seq);
                isIn &= !(own && entry.Kind == EntryKind.MemberLeft);
            }

            return visible;
        }

        public override void SendEntries(EntryRun run, WriteBatch? writes)
        {
            if (joins)
            {
                Assert.Equal((EntryKind.MemberJoined, UserId), (run.Entries[0].Kind, run.Entries[0].UserId));
                Begin(run.Entries[0].Seq - 1, run.Entries[0].Seq);
            }

            joins = false;
            Seqs.AddRange(run.Entries.Select(entry => entry.Seq));
        }

        public override void SendRoomChanged(Guid roomId, RoomChange change, long seq, WriteBatch? writes) => joins = change == RoomChange.Joined;

        public override void Abort() => Assert.Fail("No history has expired.");

        private static void Unexpected() => Assert.Fail("The session goes on.");

        public override void End(SessionEnded ended) => Unexpected();

        public override void Drain(TimeSpan after) => Unexpected();

        public override void SendEphemeral(DeliveryEvent ephemeral) => Unexpected();
    }
}
