using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Faults.Injectors;

/// <summary>What happens to Redis, and between it and the nodes.</summary>
internal static class RedisFaults
{
    public static Task KillAsync(Injection on) => on.RepeatAsync(1.5, async () =>
    {
        on.Cluster.Redis!.Send(Signal.Kill);
        await Injection.WaitAsync(3);
        await on.Cluster.Redis.StartAsync();
        on.Recovering();
    });

    public static async Task AbsentAsync(Injection on)
    {
        await Injection.WaitAsync(1);
        on.Cluster.Redis!.Send(Signal.Kill);
        foreach (var node in on.Cluster.Nodes)
            await node.CrashAsync(on.Recovering);

        await Injection.WaitAsync(on.Duration.TotalSeconds);
        await on.Cluster.Redis.StartAsync();
        on.Recovering();
        await Injection.WaitAsync(1.5);
    }

    public static Task PauseAsync(Injection on) => on.RepeatAsync(1.5, async () =>
    {
        on.Cluster.Redis!.Send(Signal.Stop);
        await Injection.WaitAsync(5);
        on.Recovering();
        on.Cluster.Redis.Send(Signal.Continue);
    });

    public static Task FlapAsync(Injection on) => on.RepeatAsync(1, async () =>
    {
        for (var i = 0; i < 2; i++)
        {
            on.Cluster.Nodes.ForEach(node => node.Redis!.CutAll());
            await Injection.WaitAsync(0.25);
        }

        on.Recovering();
    });

    public static Task PartitionAsync(Injection on) => on.RepeatAsync(1.5, async () =>
    {
        on.Victim.Redis!.Blackhole();
        await Injection.WaitAsync(5);
        on.Recovering();
        on.Cluster.HealAll();
    });
}
