using System.Diagnostics;

namespace SecureMessaging.Load.Client;

/// <summary>What was seen in a stretch of time.</summary>
internal sealed class Tally
{
    public Histogram Ack { get; } = new();

    public Histogram Delivery { get; } = new();

    public long Acked { get; set; }

    public long Deliveries { get; set; }

    public long Failed { get; set; }

    public long Bytes { get; set; }
}

/// <summary>
/// All clients of one subject. Their sockets complete inline on the runtime's one socket thread (set by <c>Program</c> through the environment), so that
/// a delivery costs about as much as finding its mark, and nothing here needs a lock.
/// </summary>
internal sealed class Swarm(int seed) : IDisposable
{
    private const int Connecting = 64;
    private readonly List<Connection> connections = [];
    private volatile bool refilling;
    private long open;
    private long lost;

    /// <summary>Microseconds of the machine's steady clock.</summary>
    public static long Now => Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1_000_000);

    public Tally Tally { get; private set; } = new();

    public IReadOnlyList<Connection> Connections => connections;

    public long TotalAcked { get; private set; }

    public long TotalDeliveries { get; private set; }

    public long LostConnections => Interlocked.Read(ref lost);

    public ulong RandomFor(int number) => (ulong)new Random(HashCode.Combine(seed, number)).NextInt64();

    public async Task ConnectAsync(IReadOnlyList<Seat> seats, bool json, int payloadBytes, CancellationToken cancellationToken)
    {
        var dialects = seats.DistinctBy(seat => seat.Room).ToDictionary(seat => seat.Room, seat => new Dialect(json, seat.Room, seat.IsBare, payloadBytes));
        var first = connections.Count;
        connections.AddRange(seats.Select((seat, i) => new Connection(this, dialects[seat.Room], first + i)));
        await Parallel.ForEachAsync(
            Enumerable.Range(0, seats.Count), new ParallelOptions { MaxDegreeOfParallelism = Connecting, CancellationToken = cancellationToken },
            async (i, token) =>
            {
                await connections[first + i].ConnectAsync(seats[i], token);
                // Answered means: in its room.
                await connections[first + i].CallAsync("Heads", token);
            });
    }

    /// <summary>One more, which sends no envelopes.</summary>
    public async Task<Connection> ConnectAsync(Seat seat, CancellationToken cancellationToken)
    {
        var connection = new Connection(this, new Dialect(json: false, seat.Room, seat.IsBare, payloadBytes: 64), 0);
        lock (connections)
            connections.Add(connection);
        await connection.ConnectAsync(seat, cancellationToken);
        return connection;
    }

    /// <summary>Each of these clients sends as soon as its last send is answered.</summary>
    public void StartClosedLoop(IEnumerable<Connection> senders)
    {
        refilling = true;
        foreach (var sender in senders)
            Send(sender, Now);
    }

    /// <summary>Ends the sending and waits until all is answered, or nothing comes any more.</summary>
    public async Task StopAsync()
    {
        refilling = false;
        for (var i = 0; i < 100 && Interlocked.Read(ref open) > 0; i++)
            await Task.Delay(50);
        Interlocked.Exchange(ref open, 0);
    }

    public void Send(Connection sender, long since)
    {
        Interlocked.Increment(ref open);
        sender.Send(since);
    }

    /// <summary>Begins a new stretch, and returns it.</summary>
    public Tally Restart() => Tally = new Tally();

    /// <summary>Begins the totals anew.</summary>
    public void Forget() => (TotalAcked, TotalDeliveries) = (0, 0);

    public void Acknowledged(Connection sender, long since, bool failed)
    {
        Interlocked.Decrement(ref open);
        var now = Now;
        if (failed)
        {
            Tally.Failed++;
        }
        else
        {
            TotalAcked++;
            Tally.Acked++;
            Tally.Ack.Record(now - since);
        }

        if (refilling)
            Send(sender, now);
    }

    public void Delivered(long sent)
    {
        TotalDeliveries++;
        Tally.Deliveries++;
        Tally.Delivery.Record(Now - sent);
    }

    public void Received(int bytes) => Tally.Bytes += bytes;

    public void Lost() => Interlocked.Increment(ref lost);

    public void Dispose()
    {
        foreach (var connection in connections)
            connection.Dispose();
        connections.Clear();
    }
}
