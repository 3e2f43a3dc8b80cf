namespace SecureMessaging.Faults.Injectors;

/// <summary>What happens between clients and nodes.</summary>
internal static class NetworkFaults
{
    public static Task CutClientsAsync(Injection on) => on.RepeatAsync(0.7, () =>
    {
        on.Recovering();
        foreach (var node in on.Cluster.Nodes)
        {
            // Most die in the middle of whatever; some right behind a request, whose answer is then lost.
            node.Clients.CutAll();
            node.Victims.CutRepliesAfter(on.Random.Next(10, 4000));
        }

        return Task.CompletedTask;
    });

    public static Task PartitionClientsAsync(Injection on) => on.RepeatAsync(1.5, async () =>
    {
        foreach (var node in on.Cluster.Nodes)
            node.Clients.Blackhole();
        await Injection.WaitAsync(4);
        on.Recovering();
        on.Cluster.HealAll();
    });

    public static async Task DelayClientsAsync(Injection on)
    {
        foreach (var node in on.Cluster.Nodes)
            node.Clients.Delay = TimeSpan.FromMilliseconds(30);
        await Injection.WaitAsync(on.Duration.TotalSeconds);
        on.Recovering();
        on.Cluster.HealAll();
        await Injection.WaitAsync(1);
    }

    public static Task StormAsync(Injection on) => on.RepeatAsync(2, () =>
    {
        on.Recovering();
        foreach (var node in on.Cluster.Nodes)
        {
            node.Clients.CutAll();
            node.Victims.CutAll();
        }

        return on.Load.AllBackAsync(TimeSpan.FromSeconds(60));
    });
}
