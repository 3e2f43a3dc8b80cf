using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Faults.Injectors;

/// <summary>All faults.</summary>
internal static class Catalogue
{
    private static readonly string[] Both = ["sqlite", "postgres"];
    private static readonly string[] OnPostgres = ["postgres"];
    private static readonly TimeSpan ForAPause = TimeSpan.FromSeconds(12);

    public static IReadOnlyList<Fault> All { get; } =
    [
        new("calm", "no fault: the other rows are compared with it", Both, 1, on => Injection.WaitAsync(on.Duration.TotalSeconds)),
        new("node-kill", "SIGKILL of the node, restart: a process crash", Both, 1, NodeFaults.KillAsync),
        new("node-pause", "SIGSTOP of the node for 3 s, SIGCONT", Both, 1, NodeFaults.PauseAsync),
        new("node-stop", "SIGTERM of the node, restart", Both, 1, NodeFaults.StopAsync),
        new("client-cut", "all client connections are reset, again and again", Both, 1, NetworkFaults.CutClientsAsync),
        new("client-duplicate", "all bytes of clients are sent again on a second connection, while the first is open", Both, 1,
            DuplicateFaults.DuplicateAsync) { Tickets = true },
        new("client-partition", "bytes between clients and node vanish for 4 s", Both, 1, NetworkFaults.PartitionClientsAsync),
        new("client-delay", "30 ms for all bytes between clients and node", Both, 1, NetworkFaults.DelayClientsAsync),
        new("slow-reader", "two of eight clients stop reading for a while", Both, 1, SlowReaders.StallAsync) { OthersOnly = true },
        new("roster", "a member is removed and added under load, with pauses of a node", Both, 1, RosterFaults.ChurnAsync),
        new("reconnect-storm", "200 connections (2,000 in a long run) are reset at once", Both, 1, NetworkFaults.StormAsync)
            { Watchers = on => on.IsLong ? 2000 : 200 },
        new("node-kill-crowd", "SIGKILL of the node under 200 connections (2,000 in a long run), restart", Both, 1, CrowdFaults.KillAsync)
            { Watchers = on => on.IsLong ? 2000 : 200 },
        new("clock-jump", "the node's clock jumps an hour ahead and back", Both, 1, NodeFaults.JumpClockAsync) { Change = "clock" },
        new("postgres-kill", "SIGKILL of all Postgres processes, restart: a process crash", OnPostgres, 1, PostgresFaults.KillAsync),
        new("postgres-pause", "SIGSTOP of all Postgres processes for 10 s (20 s in a long run), SIGCONT", OnPostgres, 1, PostgresFaults.PauseAsync)
            { AtLeast = ForAPause, Promises = PostgresFaults.PausePromises },
        new("postgres-restart", "fast shutdown of Postgres, restart", OnPostgres, 1, PostgresFaults.RestartAsync),
        new("postgres-partition", "Postgres refuses the node for 2 s; then bytes between them vanish for 6 s", OnPostgres, 1, PostgresFaults.PartitionAsync),
        new("postgres-delay", "10 ms for all bytes between node and Postgres", OnPostgres, 1, PostgresFaults.DelayAsync),
        new("busy-room", "another transaction keeps one room locked for a second, again and again", OnPostgres, 1, BusyRoom.LockAsync)
            { OthersOnly = true, VictimsShareRoom = true },
        new("commit-cut", "Postgres's replies are cut after a random number of bytes, around COMMIT", OnPostgres, 1, PostgresFaults.CutRepliesAsync),
        new("disk-full", "Postgres's disk is full for 4 s", OnPostgres, 1, DiskFaults.FillAsync) { NeedsDisk = true },
        new("power-cut", "Postgres restarts with the data that was on its disk at one instant: a power loss", OnPostgres, 1,
            DiskFaults.CutPowerAsync) { NeedsDisk = true },
        new("two-at-once", "two of the above together, chosen by the seed", OnPostgres, 1, TwoAtOnceAsync),
        new("calm-two-nodes", "no fault, on two nodes", OnPostgres, 2, on => Injection.WaitAsync(on.Duration.TotalSeconds)),
        new("one-of-two-killed", "SIGKILL of one of two nodes, restart", OnPostgres, 2, NodeFaults.KillAsync),
        new("one-of-two-crowd", "SIGKILL of one of two nodes under 200 connections (2,000 in a long run), which move to the other", OnPostgres, 2,
            CrowdFaults.KillOneOfTwoAsync)
            { Watchers = on => on.IsLong ? 2000 : 200 },
        new("redis-kill", "SIGKILL of Redis, restart after 3 s", OnPostgres, 2, RedisFaults.KillAsync),
        new("redis-pause", "SIGSTOP of Redis for 5 s, SIGCONT", OnPostgres, 2, RedisFaults.PauseAsync),
        new("redis-absent", "both nodes crash and start while Redis is dead; Redis returns", OnPostgres, 2, RedisFaults.AbsentAsync),
        new("redis-flap", "Redis's connections are reset twice within half a second, again and again", OnPostgres, 2, RedisFaults.FlapAsync),
        new("redis-partition", "bytes between one node and Redis vanish for 5 s", OnPostgres, 2, RedisFaults.PartitionAsync),
        new("roster-two-nodes", "members come and go under load while one of two nodes pauses", OnPostgres, 2, RosterFaults.ChurnAsync),
        new("two-at-once-two-nodes", "two of the above together, those of Redis among them, chosen by the seed", OnPostgres, 2, TwoAtOnceAsync),
        new("calm-three-nodes", "no fault, on three nodes", OnPostgres, 3, on => Injection.WaitAsync(on.Duration.TotalSeconds)),
        new("rolling-restart", "three nodes get SIGTERM and come back, one after the other", OnPostgres, 3, NodeFaults.RollAsync),
    ];

    /// <summary>The faults that can run: several nodes need a server with a backplane.</summary>
    public static IEnumerable<Fault> Runnable => All.Where(fault => fault.Nodes == 1 || Cluster.ServerHasBackplane);

    private static async Task TwoAtOnceAsync(Injection on)
    {
        List<(string Name, Func<Injection, Task> InjectAsync)> candidates =
        [
            ("node-kill", NodeFaults.KillAsync), ("node-pause", NodeFaults.PauseAsync), ("client-cut", NetworkFaults.CutClientsAsync),
            ("client-delay", NetworkFaults.DelayClientsAsync), ("postgres-kill", PostgresFaults.KillAsync), ("postgres-restart", PostgresFaults.RestartAsync),
            ("commit-cut", PostgresFaults.CutRepliesAsync), ("roster", RosterFaults.ChurnAsync),
        ];
        if (on.Cluster.Redis is not null)
        {
            candidates.AddRange(
            [
                ("redis-kill", RedisFaults.KillAsync), ("redis-pause", RedisFaults.PauseAsync), ("redis-flap", RedisFaults.FlapAsync),
                ("redis-partition", RedisFaults.PartitionAsync), ("node-stop", NodeFaults.StopAsync), ("client-partition", NetworkFaults.PartitionClientsAsync),
            ]);
        }

        var first = on.Random.Next(candidates.Count);
        var second = (first + 1 + on.Random.Next(candidates.Count - 1)) % candidates.Count;
        // Two faults that restart the same process would wait for each other.
        if (candidates[first].Name[..4] == candidates[second].Name[..4])
            second = candidates.FindIndex(candidate => candidate.Name[..4] != candidates[first].Name[..4]);
        on.Say($"{candidates[first].Name} and {candidates[second].Name}");
        await Task.WhenAll(candidates[first].InjectAsync(on), candidates[second].InjectAsync(on));
    }
}
