using System.Diagnostics;
using SecureMessaging.Faults.History;
using SecureMessaging.Faults.Processes;
using SecureMessaging.Protocol;

namespace SecureMessaging.Faults.Clients;

/// <summary>
/// The clients of one round: eight accounts in three rooms that all send, two of which ("victims") have links of their own and one of which ("the wanderer")
/// can be removed from the first room; and, when wanted, watchers in a fourth.
/// </summary>
internal sealed class Load : IAsyncDisposable
{
    private const int Senders = 8;
    private const int Rooms = 3;
    private const int MaxBatch = 32;
    private const int WatcherAccounts = 10;
    private static readonly TimeSpan SettlePatience = TimeSpan.FromSeconds(12);

    private readonly Cluster cluster;
    private readonly bool tickets;
    private readonly bool victimsShareRoom;
    private readonly List<Account> accounts = [];
    private readonly List<Guid> rooms = [];
    private readonly List<RawClient> clients = [];
    private readonly List<Sender> senders = [];
    private int turn;

    private Load(Cluster cluster, bool tickets, bool victimsShareRoom) =>
        (this.cluster, this.tickets, this.victimsShareRoom) = (cluster, tickets, victimsShareRoom);

    public int Acked => senders.Sum(sender => sender.Acked);

    public TimeSpan SlowestOutcome => senders.Max(sender => sender.SlowestOutcome);

    /// <summary>The room that only the victims send to, when the fault wants one.</summary>
    public Guid BusyRoom => rooms[Rooms - 1];

    private Account Wanderer => accounts[Senders - 1];

    public static async Task<Load> CreateAsync(Cluster cluster, int watchers, int seed, bool tickets = false, bool victimsShareRoom = false)
    {
        var load = new Load(cluster, tickets, victimsShareRoom);
        for (var i = 0; i < Senders + (watchers > 0 ? WatcherAccounts : 0); i++)
        {
            load.accounts.Add(new Account(() => cluster.Nodes[load.turn++ % cluster.Nodes.Count].Url));
            await load.accounts[i].SignUpAsync();
        }

        for (var i = 0; i < Rooms; i++)
            load.rooms.Add(await load.accounts[0].CreateRoomAsync(load.accounts.Take(Senders).Skip(1)));
        if (watchers > 0)
            load.rooms.Add(await load.accounts[0].CreateRoomAsync(load.accounts.Skip(Senders)));
        for (var i = 0; i < Senders + watchers + (watchers > 0 ? 1 : 0); i++)
            load.AddClient(i, watchers, seed + i);
        foreach (var client in load.clients)
            client.Start();
        await load.AllBackAsync(TimeSpan.FromSeconds(90));
        return load;
    }

    /// <summary>Waits until every client is connected and caught up.</summary>
    public async Task AllBackAsync(TimeSpan patience)
    {
        using var timeout = new CancellationTokenSource(patience);
        foreach (var client in clients)
            await client.ReadyAsync(timeout.Token);
    }

    /// <summary>The clients whose connections go to this node.</summary>
    public List<RawClient> On(Node node) => [.. clients.Where(client => client.Address?.Port == node.Clients.Port
        || client.Address?.Port == node.Victims.Port)];

    /// <summary>Waits until each of these clients has connected and caught up after this moment.</summary>
    public static async Task ResumedAsync(IReadOnlyCollection<RawClient> clients, long since, TimeSpan patience)
    {
        var watch = Stopwatch.StartNew();
        for (var left = clients.ToList(); ; await Task.Delay(50))
        {
            left.RemoveAll(client => client.CaughtUpAt > since);
            if (left.Count == 0)
                return;
            if (watch.Elapsed > patience)
                throw new TimeoutException($"{left.Count} of {clients.Count} connections are not back after {patience.TotalSeconds:0} s.");
        }
    }

    public Task SendAsync(CancellationToken sending, CancellationToken patience) =>
        Task.WhenAll(senders.Select(sender => Task.Run(() => sender.RunAsync(sending, patience), CancellationToken.None)));

    public Task RemoveWandererAsync() => accounts[0].RemoveMemberAsync(rooms[0], Wanderer);

    public Task AddWandererAsync() => accounts[0].AddMemberAsync(rooms[0], Wanderer);

    /// <summary>Reads the final logs, waits until every member's cursor has come to their ends by itself, and returns the whole history.</summary>
    public async Task<RoundHistory> SettleAsync()
    {
        var users = accounts.Select((account, index) => (account.UserId, index)).ToDictionary(pair => pair.UserId, pair => pair.index);
        var logs = new LogRow[rooms.Count][];
        for (var room = 0; room < rooms.Count; room++)
            logs[room] = [.. (await accounts[0].ReadLogAsync(rooms[room])).Select(entry => ToRow(entry, users))];
        var watch = Stopwatch.StartNew();
        for (var reached = -1L; watch.Elapsed < SettlePatience && clients.Exists(client => IsBehind(client, logs)); await Task.Delay(50))
        {
            // As long as anything moves, there is reason to wait.
            var now = clients.Sum(client => Enumerable.Range(0, rooms.Count).Sum(client.CursorOf));
            if (now != reached)
                watch.Restart();
            reached = now;
        }

        await Task.WhenAll(clients.Select(client => client.DisposeAsync().AsTask()));
        return new RoundHistory([.. clients.Select(client => client.History)], logs);
    }

    /// <summary>For each client and each mark, how long it took until something of the client's worked again.</summary>
    public List<TimeSpan> Recoveries(List<long> marks)
    {
        var recoveries = new List<TimeSpan>();
        foreach (var mark in marks)
        {
            foreach (var sender in senders)
            {
                var index = sender.Acks.FindIndex(ack => ack.End >= mark);
                if (index >= 0)
                    recoveries.Add(Stopwatch.GetElapsedTime(mark, sender.Acks[index].End));
            }
        }

        if (marks.Count > 0)
            recoveries.AddRange(clients.Skip(senders.Count).Where(client => client.CaughtUpAt > marks[^1])
                .Select(client => Stopwatch.GetElapsedTime(marks[^1], client.CaughtUpAt)));
        return recoveries;
    }

    /// <summary>Of the clients that the fault spares: calls that began in this span, from their first attempt to their ack.</summary>
    public List<TimeSpan> AckTimesOfOthers(long from, long to) => [.. senders
        .Where((_, index) => !IsVictim(index))
        .SelectMany(sender => sender.Acks.Where(ack => ack.Start >= from && ack.Start < to).Select(ack => Stopwatch.GetElapsedTime(ack.Start, ack.End)))];

    /// <summary>Of the clients that the fault spares: from the first attempt of a send in this span until another of them was given it.</summary>
    public List<TimeSpan> DeliveryTimesToOthers(long from, long to)
    {
        var others = clients.Where((_, index) => index < Senders && !IsVictim(index)).Select(client => client.History).ToList();
        var sent = others.SelectMany(history => history.Sends).Where(send => send.Start >= from && send.Start < to)
            .ToDictionary(send => send.Id, send => send.Start);
        var times = new List<TimeSpan>();
        foreach (var seen in others.SelectMany(history => history.Seen))
        {
            if (seen.What == Seen.Pushed && sent.TryGetValue(seen.Id, out var start))
                times.Add(Stopwatch.GetElapsedTime(start, seen.At));
        }

        return times;
    }

    public IEnumerable<TimeSpan> AckTimes(bool othersOnly) => senders
        .Where((_, index) => !othersOnly || !IsVictim(index))
        .SelectMany(sender => sender.Acks.Select(ack => Stopwatch.GetElapsedTime(ack.Start, ack.End)));

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(clients.Select(client => client.DisposeAsync().AsTask()));
        foreach (var account in accounts)
            account.Dispose();
    }

    private static bool IsVictim(int client) => client is 5 or 6;

    private static bool IsBehind(RawClient client, LogRow[][] logs)
    {
        for (var room = 0; room < logs.Length; room++)
        {
            var last = Array.FindLast(logs[room], row => row.About == client.History.Member
                && row.Kind is EntryKind.MemberJoined or EntryKind.MemberLeft && row.About == client.History.Member);
            if (last.Kind == EntryKind.MemberJoined && client.CursorOf(room) < logs[room][^1].Seq)
                return true;
        }

        return false;
    }

    private static LogRow ToRow(LogEntry entry, Dictionary<Guid, int> users)
    {
        var (sender, counter) = Payload.Parse(entry.Ciphertext);
        var about = entry.UserId is { } user ? users.GetValueOrDefault(user, -1) : -1;
        return new LogRow(entry.Seq, entry.Kind, entry.Id ?? default, Payload.Hash(entry), sender, counter, about);
    }

    /// <summary>Clients 0 to 7 send in the three rooms; with watchers, client 8 sends now and then in theirs and the rest watch.</summary>
    private void AddClient(int index, int watchers, int seed)
    {
        var member = index < Senders ? index : index == Senders ? 0 : Senders + (index % WatcherAccounts);
        var client = new RawClient(accounts[member], new ClientHistory(member), [.. rooms], attempt => NodeFor(attempt, IsVictim(index)), seed,
            index > Senders ? ClientKind.Thin : tickets && IsVictim(index) ? ClientKind.WithTicket : ClientKind.Full);
        clients.Add(client);
        // Watchers are there to be many; the load that makes every one of them an ack a second would measure this machine.
        var pause = watchers > 0 ? TimeSpan.FromMilliseconds(300) : TimeSpan.FromMilliseconds(3);
        if (index < Senders)
            senders.Add(new Sender(index, client, [.. rooms], MaxBatch, pause, seed) { Rooms = RoomsOf(index) });
        else if (index == Senders)
            senders.Add(new Sender(index, client, [.. rooms], 2, pause, seed) { Rooms = [3] });
    }

    private int[] RoomsOf(int sender) => !victimsShareRoom ? [0, 1, 2] : IsVictim(sender) ? [Rooms - 1] : [0, 1];

    private Uri NodeFor(int attempt, bool victim)
    {
        var node = cluster.Nodes[(int)((uint)attempt % (uint)cluster.Nodes.Count)];
        return new Uri($"http://127.0.0.1:{(victim ? node.Victims : node.Clients).Port}");
    }
}
