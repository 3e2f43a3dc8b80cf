using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Faults.Injectors;

/// <summary>What happens to Postgres, and between it and the nodes.</summary>
internal static class PostgresFaults
{
    private const double AnsweredMs = 5_000;
    private const double HealedMs = 5_000;

    public static Task KillAsync(Injection on) => on.RepeatAsync(1.5, async () =>
    {
        var postgres = on.Cluster.Postgres!;
        postgres.Send(Signal.Kill);
        await postgres.ExitedAsync();
        await Injection.WaitAsync(0.5);
        await postgres.StartAsync();
        on.Recovering();
    });

    /// <summary>In a long run the next pause comes only when the promised time to heal is over, or it would be counted as part of the last one.</summary>
    public static Task PauseAsync(Injection on) => on.RepeatAsync(on.IsLong ? 8 : 1.5, async () =>
    {
        on.Cluster.Postgres!.Send(Signal.Stop);
        await Injection.WaitAsync(on.IsLong ? 20 : 10);
        on.Recovering();
        on.Cluster.Postgres.Send(Signal.Continue);
    });

    /// <summary>However long Postgres is silent, a sender hears so, and goes on soon after it speaks again.</summary>
    public static IEnumerable<Figure> PausePromises(Injection on, Row row) =>
    [
        new("answered within", row.SlowestOutcomeMs ?? 0, "ms", AnsweredMs),
        new("healed within", row.RecoveryMaxMs ?? 0, "ms", HealedMs),
    ];

    public static Task RestartAsync(Injection on) => on.RepeatAsync(1.5, async () =>
    {
        var postgres = on.Cluster.Postgres!;
        postgres.Ask(Signal.Interrupt);
        await postgres.ExitedAsync();
        await postgres.StartAsync();
        on.Recovering();
    });

    public static async Task PartitionAsync(Injection on)
    {
        await Injection.WaitAsync(1.5);
        on.Cluster.Nodes.ForEach(node => node.Postgres!.Refuse());
        await Injection.WaitAsync(2);
        on.Recovering();
        on.Cluster.HealAll();
        await Injection.WaitAsync(1.5);
        on.Cluster.Nodes.ForEach(node => node.Postgres!.Blackhole());
        await Injection.WaitAsync(6);
        on.Recovering();
        on.Cluster.HealAll();
        await Injection.WaitAsync(1.5);
    }

    public static async Task DelayAsync(Injection on)
    {
        on.Cluster.Nodes.ForEach(node => node.Postgres!.Delay = TimeSpan.FromMilliseconds(10));
        await Injection.WaitAsync(on.Duration.TotalSeconds);
        on.Recovering();
        on.Cluster.HealAll();
        await Injection.WaitAsync(1);
    }

    public static Task CutRepliesAsync(Injection on) => on.RepeatAsync(0.2, () =>
    {
        on.Recovering();
        on.Cluster.Nodes.ForEach(node => node.Postgres!.CutRepliesAfter(on.Random.Next(1, 6000)));
        return Task.CompletedTask;
    });
}
