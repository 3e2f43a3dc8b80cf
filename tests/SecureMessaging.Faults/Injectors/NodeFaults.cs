using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Faults.Injectors;

/// <summary>What happens to server processes.</summary>
internal static class NodeFaults
{
    public static Task KillAsync(Injection on) => on.RepeatAsync(1.5, () => on.Victim.CrashAsync(on.Recovering));

    public static Task PauseAsync(Injection on) => on.RepeatAsync(1.5, async () =>
    {
        var process = on.Victim.Process;
        process.Send(Signal.Stop);
        await Injection.WaitAsync(3);
        on.Recovering();
        process.Send(Signal.Continue);
    });

    public static Task StopAsync(Injection on) => on.RepeatAsync(1.5, () => StopAsync(on, on.Victim));

    public static async Task RollAsync(Injection on)
    {
        await Injection.WaitAsync(1.5);
        foreach (var node in on.Cluster.Nodes)
        {
            await StopAsync(on, node);
            await Injection.WaitAsync(1);
        }
    }

    public static async Task JumpClockAsync(Injection on)
    {
        var third = on.Duration.TotalSeconds / 3;
        foreach (var offset in (string[])["3600", "0"])
        {
            await Injection.WaitAsync(third);
            on.Recovering();
            foreach (var node in on.Cluster.Nodes)
                node.Process.Tell(offset);
        }

        await Injection.WaitAsync(third);
    }

    private static async Task StopAsync(Injection on, Node node)
    {
        on.Recovering();
        node.Process.Send(Signal.Terminate);
        var watch = System.Diagnostics.Stopwatch.StartNew();
        await node.Process.ExitedAsync(TimeSpan.FromSeconds(40));
        on.ExitedAfter(watch.Elapsed);
        await node.StartAsync();
    }
}
